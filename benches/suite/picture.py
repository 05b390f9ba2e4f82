"""Charts as SVG, without anything to install: lines over numbers, bars over names, several panels a picture."""

import math
from html import escape

COLOURS = ["#3465a4", "#cc0000", "#4e9a06", "#f57900", "#75507b", "#555753", "#c17d11", "#06989a"]
WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 34, 46


def _ticks(low, high, log):
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        if last - first >= 2:
            return [10.0**e for e in range(first, last + 1) if low * 0.999 <= 10.0**e <= high * 1.001]
        return [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5) if low * 0.999 <= m * 10.0**e <= high * 1.001]
    step = 10.0 ** math.floor(math.log10((high - low) / 4 or 1))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(value):
    return f"{value:.6g}"


class Panel:
    """One chart: `lines` of (label, xs, ys) or `bars` of (label, names, heights)."""

    def __init__(self, title, x, y, lines=(), bars=(), log_x=False, log_y=False, y_range=None, dashed=()):
        self.title, self.x, self.y = title, x, y
        self.lines, self.bars = list(lines), list(bars)
        self.log_x, self.log_y, self.y_range, self.dashed = log_x, log_y, y_range, set(dashed)

    def svg(self, left):
        names = self.bars[0][1] if self.bars else []
        series = self.bars or self.lines
        ys = [v for _, _, values in series for v in values if v is not None and math.isfinite(v)]
        if not ys:
            ys = [0.0, 1.0]
        low, high = self.y_range or (min(ys), max(ys))
        if self.bars and not self.log_y:
            low = min(0.0, low)
        if self.log_y:
            low = low if low > 0 else min(v for v in ys if v > 0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        xs = [v for _, values, _ in self.lines for v in values] or [0, 1]
        x_low, x_high = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 0.5, max(xs) + 0.5)
        scale = lambda v, a, b, log: (math.log(v / a) / math.log(b / a)) if log else (v - a) / (b - a)
        wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        at_y = lambda v: TOP + tall * (1 - min(1.04, max(-0.04, scale(v, low, high, self.log_y))))
        at_x = lambda v: LEFT + wide * scale(v, x_low, x_high, self.log_x)
        out = [f'<g transform="translate({left},0)">']
        out.append(f'<text x="{LEFT + wide / 2}" y="18" text-anchor="middle" font-weight="bold">{escape(self.title)}</text>')
        out.append(f'<rect x="{LEFT}" y="{TOP}" width="{wide}" height="{tall}" fill="none" stroke="#888"/>')
        for tick in _ticks(low, high, self.log_y):
            y = at_y(tick)
            out.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            out.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_label(tick)}</text>')
        if self.bars:
            slot = wide / len(names)
            for n, name in enumerate(names):
                out.append(f'<text x="{LEFT + slot * (n + 0.5):.1f}" y="{TOP + tall + 15}" text-anchor="middle">{escape(str(name))}</text>')
            for s, (_, _, heights) in enumerate(self.bars):
                for n, height in enumerate(heights):
                    if height is None or not math.isfinite(height):
                        continue
                    bar = slot * 0.8 / len(self.bars)
                    x, y = LEFT + slot * (n + 0.1) + bar * s, at_y(height)
                    base = at_y(low if self.log_y else max(low, 0.0))
                    out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{max(0.0, base - y):.1f}" fill="{COLOURS[s % 8]}"/>')
        else:
            for tick in _ticks(x_low, x_high, self.log_x):
                out.append(f'<text x="{at_x(tick):.1f}" y="{TOP + tall + 15}" text-anchor="middle">{_label(tick)}</text>')
            for s, (label, xs, ys) in enumerate(self.lines):
                points = [(x, y) for x, y in zip(xs, ys) if y is not None and math.isfinite(y) and (y > 0 or not self.log_y)]
                path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
                dash = ' stroke-dasharray="5 3"' if label in self.dashed else ""
                out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[s % 8]}" stroke-width="1.6"{dash}/>')
                if len(points) <= 12:
                    out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="2.5" fill="{COLOURS[s % 8]}"/>' for x, y in points]
        for s, (label, _, _) in enumerate(series):
            y = TOP + 14 + 14 * s
            out.append(f'<rect x="{LEFT + wide - 8}" y="{y - 8}" width="8" height="8" fill="{COLOURS[s % 8]}"/>')
            out.append(f'<text x="{LEFT + wide - 12}" y="{y}" text-anchor="end">{escape(label)}</text>')
        out.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x)}</text>')
        middle = TOP + tall / 2
        out.append(f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(self.y)}</text>')
        out.append("</g>")
        return "\n".join(out)


def save(path, *panels):
    """Writes the panels side by side."""
    body = "\n".join(panel.svg(WIDTH * n) for n, panel in enumerate(panels))
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')
