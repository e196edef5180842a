/** Colours of style.css for canvases. */

const normalizer = document.createElement("canvas").getContext("2d")!;

/** A custom property that is a colour, as `#rrggbb`, however the style sheet or its minifier spells it. */
export function cssColor(property: string): string {
  normalizer.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(property);
  return normalizer.fillStyle;
}
