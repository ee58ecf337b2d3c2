"""What the tests of pages share: counting, pictures, and how well text can be read."""

import base64
import os

from webdriver import Browser

CONTRASTS = """
  // Web Content Accessibility Guidelines 2.1: relative luminance, contrast ratio
  const light = c => c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(v => light(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(arguments[0])].map(node => {
    const style = getComputedStyle(node);
    let back = node;
    while (/rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(back).backgroundColor))
      back = back.parentNode;
    const a = luminance(style.color), b = luminance(getComputedStyle(back).backgroundColor);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
"""


class PageTests:
    """A browser and a tally. run() of a subclass does the tests; screenshots: a folder, or None."""

    def __init__(self, screenshots):
        self.screenshots = screenshots
        self.passed = self.failed = 0
        self.browser = Browser()

    def check(self, what, good, found=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what} {found}")

    def keep(self, name):
        if self.screenshots:
            with open(os.path.join(self.screenshots, name + ".png"), "wb") as file:
                file.write(base64.b64decode(self.browser.screenshot()))

    def readable(self, selector):
        """The worst contrast of the selected elements' text."""
        return min(self.browser.run(CONTRASTS, selector))

    def main(self):
        """Runs everything; the exit status."""
        try:
            self.run()
        finally:
            self.browser.close()
        print(f"{self.passed} passed, {self.failed} failed")
        return self.failed > 0
