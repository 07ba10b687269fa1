// Elements whose text is never markup, and changes that keep what the reader looks at.

// Escapes control characters, and characters that reorder or hide text.
export function printable(value) {
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  return String(value).replace(hidden, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
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
