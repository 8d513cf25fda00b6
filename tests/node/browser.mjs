// A real browser for the tests: Chromium of this machine, without a window. A story opens pages and asks inside them.
import { chromium } from "playwright-core";

const root = process.getuid?.() === 0;
// Chromium's own sandbox does not run as root; /dev/shm is small in containers.
const args = ["--disable-dev-shm-usage", "--no-proxy-server", ...(root ? ["--no-sandbox"] : [])];

/** Runs a story with a browser of its own, which ends with it. Each page has a profile of its own: no cookie is shared.
 * `watch` sees a page before it loads anything. */
export const withBrowser = async (story) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args, timeout: 120_000 });
  try {
    const open = async (url, { watch = () => {}, ...options } = {}) => {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(60_000);
      const page = await context.newPage();
      await watch(page);
      await page.goto(url);
      return page;
    };
    await story(open);
  } finally {
    await browser.close();
  }
};
