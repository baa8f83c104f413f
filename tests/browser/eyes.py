"""What a careful eye, a thumb and a screen reader find on a page."""

from __future__ import annotations

from typing import Literal

from playwright.async_api import Page

SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")

_SEEN = """
const seen = (el) => el.checkVisibility({ visibilityProperty: true })
  && !el.closest('.unseen, .skip, [aria-hidden="true"]') && el.getClientRects().length > 0;
"""

_NAMELESS = f"""() => {{ {_SEEN}
  const named = (el) => (el.getAttribute('aria-label') || el.title
    || Array.from(el.labels || [], (label) => label.innerText).join('')
    || (el.matches('input, select, textarea') ? '' : el.textContent)).trim();
  const all = 'button, a[href], input:not([type=hidden]), select, textarea, summary, iframe, nav';
  return Array.from(document.querySelectorAll(all)).filter((el) => seen(el) && !named(el))
    .map((el) => el.outerHTML.slice(0, 120));
}}"""

_FAINT = f"""() => {{ {_SEEN}
  const rgba = (css) => {{
    const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  }};
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0);
  const over = (top, under) => top.slice(0, 3)
    .map((v, n) => v * top[3] + under[n] * (1 - top[3])).concat(1);
  const ground = (el) => {{
    if (!el) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(el).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(el.parentElement));
  }};
  const faint = [];
  for (const el of document.body.querySelectorAll('*')) {{
    const writes = Array.from(el.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!writes || !seen(el) || el.closest('svg, option, [disabled]')) continue;
    const style = getComputedStyle(el);
    const under = ground(el);
    const [a, b] = [light(over(rgba(style.color), under)), light(under)];
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) faint.push(contrast.toFixed(2) + ' ' + el.textContent.trim().slice(0, 60));
  }}
  return faint;
}}"""

_SMALL = f"""(least) => {{ {_SEEN}
  const all = 'button, a[href], input:not([type=hidden]), textarea';
  return Array.from(document.querySelectorAll(all)).filter(seen)
    .map((el) => [el, (el.closest('label') || el).getBoundingClientRect()])
    .filter(([, box]) => box.width < least || box.height < least)
    .map(([el, box]) => `${{box.width}}x${{box.height}} ${{el.textContent.trim() || el.id}}`);
}}"""

_RING = """() => {
  const el = document.activeElement;
  const style = getComputedStyle(el);
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const name = (el.getAttribute('aria-label') || el.id || el.textContent).trim().slice(0, 40);
  return [el.tagName, name, ring];
}"""


_REPAINTED = """(scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches
  && new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""


async def finds_nothing_wrong(page: Page, language: str = "bg") -> None:
    """Names, one heading, the language, contrast by day and night, nothing beside the screen."""
    assert await page.evaluate(_NAMELESS) == []
    assert await page.locator("h1").count() == 1
    assert await page.evaluate("() => document.documentElement.lang") == language
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        await page.wait_for_function(_REPAINTED, arg=scheme)
        assert await page.evaluate(_FAINT) == []
    assert await page.evaluate("() => document.title") != ""
    await fits(page)


async def fits(page: Page) -> None:
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0


async def too_small(page: Page, least: int = 44) -> list[str]:
    """What a thumb would miss."""
    return list(await page.evaluate(_SMALL, least))


async def focused(page: Page) -> tuple[str, str, bool]:
    """The focused element's tag and name, and whether it can be seen to be focused."""
    tag, name, ring = await page.evaluate(_RING)
    return tag, name, ring


async def tabs_to(page: Page, wanted: str, most: int = 40) -> None:
    """By Tab alone; every stop on the way must show that it is one."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        tag, name, ring = await focused(page)
        if tag != "BODY":
            assert ring, f"{tag} {name} has no visible focus"
        if wanted in name:
            return
    raise AssertionError(f"Tab does not reach {wanted}")
