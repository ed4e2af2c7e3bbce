// The root element of the page: its language, and the theme and density that style sheets ask for.

const root = document.documentElement;

export const setLanguage = (lang) => set(root, { lang });
export const setLook = (look) => set(root.dataset, look);

// Sets what has changed: for any other value too the browser styles the whole page again.
function set(target, values) {
  for (const [name, value] of Object.entries(values)) if (target[name] !== value) target[name] = value;
}
