// Elements of the page. What comes from databases and files goes in as text, never as markup.

/** Return the element with this id. */
export const find = (id) => document.getElementById(id);

/** Return a new element: attributes by name (false or null: none), then children, of which strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Set the text of an element if it is another one, so that screen readers hear only of changes. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Call a function once with the next frame, however often it is asked for. */
export function atNextFrame(call) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      call();
    });
  };
}

/** Call a function when it has not been asked for during some milliseconds. */
export function afterRest(call, milliseconds) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds);
  };
}
