// Elements whose text is never markup, and changes that keep what the reader looks at.

// As `INVISIBLE` in shared/encoding.py, and halves of surrogate pairs.
const HIDDEN = new RegExp(
  String.raw`[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f` +
    String.raw`\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb` +
    String.raw`\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]`,
  "gu",
);

// Escapes control characters, and characters that reorder or hide text.
export function printable(value) {
  return String(value).replace(HIDDEN, (char) => {
    const code = char.codePointAt(0);
    const [letter, digits] = code > 0xffff ? ["U", 8] : ["u", 4];
    return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
  });
}

// Text from outside becomes text nodes, never markup.
export function element(name, classes = "", text = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== "") made.textContent = printable(text);
  return made;
}

// Text in its own lines, which scrolls if it is wide: with the keyboard too.
export function block(text) {
  const made = element("pre", "text", text);
  made.tabIndex = 0;
  return made;
}

// Replaces only children that changed, to keep selections and the reading position.
export function keep(parent, children) {
  children.forEach((child, place) => {
    const present = parent.children[place];
    if (!present) parent.append(child);
    else if (!present.isEqualNode(child)) present.replaceWith(child);
  });
  while (parent.children.length > children.length) parent.lastChild.remove();
}
