// What all pages do: times in the reader's own zone, and the colours that `subcli open` passes on.

// Shows the times of a page, or of a part of it, as the reader's clock does.
export function localise(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    time.title = time.dateTime;
  }
}

const theme = new URLSearchParams(location.search).get("theme");
// The styles know the names.
if (theme) document.documentElement.dataset.theme = theme;
localise(document);
