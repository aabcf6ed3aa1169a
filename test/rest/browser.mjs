// browser.mjs: Debian's Chromium, driven by Playwright.
import { chromium } from 'playwright-core';

export const startBrowser = () => chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
