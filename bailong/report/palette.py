"""Colours of the figures, on light and on dark paper."""

from collections.abc import Iterable

#: (light, dark) per choice: Okabe and Ito's colours, which colour-blind readers can tell apart, adjusted
#: in lightness for either background. The baseline is grey and dashed: it is what the others are read against.
COLOURS = (
    ("#0b66a8", "#5cb3f0"),
    ("#c8510a", "#f59556"),
    ("#0a8462", "#3fc79c"),
    ("#a8478b", "#e296cb"),
    ("#9a7400", "#e3bd45"),
    ("#4a57c4", "#a3acf7"),
)
BASELINE = ("#5f666f", "#a9b0b9")
INK = {"--ink": "#1d2127", "--soft": "#626a75", "--grid": "#e3e5e8", "--paper": "#ffffff"}
DARK_INK = {"--ink": "#e7e9ec", "--soft": "#9aa3ae", "--grid": "#2c3138", "--paper": "#15181c"}


def variable(number: int) -> str:
    """The CSS variable of a colour; they come round again."""
    return f"--choice{number % len(COLOURS)}"


#: the colours as `css` takes them
CHOICES = tuple((variable(number), *pair) for number, pair in enumerate(COLOURS))


def css(variables: Iterable[tuple[str, str, str]]) -> str:
    """CSS variables as (name, light, dark): one set for light, one for dark."""
    found = list(variables)
    light = "".join(f"{name}: {value}; " for name, value, _ in found)
    dark = "".join(f"{name}: {value}; " for name, _, value in found)
    return f":root {{ {light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}"
