// Light, dark, or as the machine has it. The choice is the one thing that this page keeps: it is no secret.

const KEY = "gateway-console-theme";
const ORDER = ["auto", "light", "dark"];

const kept = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};

/** What holds now. */
export const theme = () => (ORDER.includes(kept()) ? kept() : "auto");

/** Puts it in force. */
export const apply = () => {
  if (theme() === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
};

/** The next of them. */
export const next = () => {
  const value = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, value);
  } catch {
    document.documentElement.dataset.theme = value;
    return value;
  }
  apply();
  return value;
};
