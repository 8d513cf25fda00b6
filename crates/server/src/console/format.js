// Numbers and times, as people read them.

const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const small = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A count. */
export const count = (value) => counts.format(value ?? 0);

/** So many a second. */
export const rate = (value) => (value >= 100 ? counts : small).format(value);

/** Bytes, in units of 1024. */
export const bytes = (value) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let left = value ?? 0;
  let unit = 0;
  for (; left >= 1024 && unit < units.length - 1; unit += 1) left /= 1024;
  return `${small.format(left)} ${units[unit]}`;
};

/** A length of time, in its largest two units. */
export const span = (millis) => {
  const seconds = Math.max(0, Math.round(millis / 1000));
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = seconds;
  return parts.slice(first, first + 2).map(([unit, size]) => {
    const whole = Math.floor(left / size);
    left -= whole * size;
    return whole ? `${whole} ${unit}` : "";
  }).filter(Boolean).join(" ");
};

/** How long ago, by the clock of this machine. */
export const ago = (time) => (time ? `${span(Date.now() - Date.parse(time))} ago` : "");

/** A moment, in the time of this machine. */
export const moment = (time) => (time ? new Date(time).toLocaleString("en-GB", { hour12: false }) : "");

/** Milliseconds, as measured. */
export const millis = (value) => (value === null || value === undefined ? "" : `${small.format(value)} ms`);
