// The specification's SubmissionWatcher, unchanged apart from the host, under Node with the package `ws`.
// Prints each message it handles as one JSON line.
const WebSocket = require('ws');
const [host, id, authToken] = process.argv.slice(2);

class SubmissionWatcher {
  constructor(submissionId, token) {
    this.ws = new WebSocket(
      `ws://${host}/ws/submissions/${submissionId}?token=${token}`
    );

    this.ws.onopen = () => {
      console.log('Connected to submission updates');
    };

    this.ws.onmessage = (event) => {
      const message = JSON.parse(event.data);
      this.handleMessage(message);
    };

    this.ws.onerror = (error) => {
      console.error('WebSocket error:', error);
    };

    this.ws.onclose = (event) => {
      console.log(`Connection closed: ${event.code} ${event.reason}`);
    };

    // Send heartbeat every 30s
    this.heartbeat = setInterval(() => {
      if (this.ws.readyState === WebSocket.OPEN) {
        this.ws.send('ping');
      }
    }, 30000);
  }

  handleMessage(message) {
    switch (message.type) {
      case 'status_update':
        console.log(`Status: ${message.status}`);
        this.onStatusUpdate?.(message);
        break;
      case 'test_result':
        console.log(`Test ${message.test_name}: ${message.status}`);
        this.onTestResult?.(message);
        break;
      case 'error_analysis':
        console.log('Error analysis:', message.analysis);
        this.onErrorAnalysis?.(message);
        break;
      case 'complete':
        console.log('Submission complete!', message.summary);
        this.onComplete?.(message);
        this.close();
        break;
    }
  }

  close() {
    clearInterval(this.heartbeat);
    if (this.ws.readyState === WebSocket.OPEN) {
      this.ws.close(1000, 'Client closing');
    }
  }
}

const watcher = new SubmissionWatcher(id, authToken);
// In a page, what a handler throws (at the text `pong`, say) is printed, and the next message is handled.
const handle = watcher.ws.onmessage;
watcher.ws.onmessage = (event) => {
  try {
    handle(event);
  } catch (error) {
    console.error(error);
  }
};
const print = (msg) => console.log(`JSON ${JSON.stringify(msg)}`);
watcher.onStatusUpdate = print;
watcher.onTestResult = print;
watcher.onErrorAnalysis = print;
watcher.onComplete = print;
