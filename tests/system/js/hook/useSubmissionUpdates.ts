import { useEffect, useState, useCallback } from 'react';

interface SubmissionUpdate {
  type: string;
  status?: string;
  test_name?: string;
  summary?: object;
}

function useSubmissionUpdates(submissionId: number, token: string) {
  const [updates, setUpdates] = useState<SubmissionUpdate[]>([]);
  const [status, setStatus] = useState<string>('connecting');

  useEffect(() => {
    const ws = new WebSocket(
      `${import.meta.env.VITE_WS_URL}/ws/submissions/${submissionId}?token=${token}`
    );

    ws.onopen = () => setStatus('connected');
    ws.onclose = () => setStatus('disconnected');
    ws.onerror = () => setStatus('error');

    ws.onmessage = (event) => {
      const message = JSON.parse(event.data);
      setUpdates(prev => [...prev, message]);

      if (message.type === 'complete') {
        ws.close();
      }
    };

    return () => ws.close();
  }, [submissionId, token]);

  return { updates, status };
}
