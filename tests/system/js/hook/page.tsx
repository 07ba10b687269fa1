// What a page does with the specification's hook, which stands above this when it is built.
import { createRoot } from 'react-dom/client';

function Page() {
  const { updates, status } = useSubmissionUpdates(1, 'token');
  return (
    <>
      <p id="status">{status}</p>
      <pre id="updates">{JSON.stringify(updates)}</pre>
    </>
  );
}

createRoot(document.getElementById('root')!).render(<Page />);
