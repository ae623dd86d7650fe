import { type Browser, chromium as driver } from 'playwright-core'
import { chromium } from './programs.ts'

/** Starts the Chromium of this machine. It talks to nobody but the pages it is sent to. */
export const startChromium = (): Promise<Browser> =>
  driver.launch({
    executablePath: chromium.find() ?? 'chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
