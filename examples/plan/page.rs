//! The page: curves to read at a glance, in one file that needs nothing else.

use std::fmt::{Display, Write};

use indicatif::HumanCount;

use crate::advice::Advice;
use crate::curves::Curves;
use crate::report::summary;

/// The area of the curves. Axes stand on the left and below, names on the right.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Names need so much room, or they run into one another.
const LINE: f64 = 17.0;
/// Told apart by the colour-blind too (Okabe and Ito); the optimum has the colour of the text.
const COLOURS: [&str; 8] =
    ["currentColor", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f7f00"];

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --faint: #8884; --soft: #777 }
@media (prefers-color-scheme: dark) { :root { --paper: #181a1b; --ink: #ddd; --soft: #999 } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 960px;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; overflow-wrap: anywhere }
.advice { border-left: 4px solid #0072b2; padding: .5rem 1rem; font-size: 1.05rem }
.soft { color: var(--soft) }
svg { width: 100%; height: auto; font-size: 13px } svg text { fill: currentColor } svg .soft { fill: var(--soft) }
.grid { stroke: var(--faint) } .curve { fill: none; stroke-width: 2.2; stroke-linejoin: round }
.mark { fill: none; stroke: currentColor; stroke-width: 1.4; stroke-dasharray: 2 3 }
.label { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 5px }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid var(--faint) } .best { font-weight: 700 }
";

const BEGINNING: &str = "<!doctype html>";

/// Whether a file that begins so may be an older page, which is written over.
pub(crate) fn may_be_page(beginning: &[u8]) -> bool {
    BEGINNING.as_bytes().starts_with(beginning) || beginning.starts_with(BEGINNING.as_bytes())
}

/// A page of all streams.
pub(crate) fn page(all: &[(Curves, Option<Advice>)]) -> String {
    let mut html = format!(
        "{BEGINNING}<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Cache plan</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>Which policy, and how much room?</h1>"
    );
    for (curves, advice) in all {
        section(&mut html, curves, advice.as_ref());
    }
    html.push_str("</body></html>\n");
    html
}

fn section(html: &mut String, curves: &Curves, advice: Option<&Advice>) {
    let advice_or_not: &dyn Display = match advice {
        Some(advice) => advice,
        None => &"No key is asked for twice: no cache would ever hit.",
    };
    put(html, format_args!("<h2>{}</h2><p class=\"soft\">{}</p>", escaped(&curves.title), summary(curves)));
    put(html, format_args!("<p class=\"advice\">{advice_or_not}</p>"));
    chart(html, curves, advice);
    table(html, curves);
}

/// Where things are.
struct Axes {
    low: f64,
    high: f64,
    top: f64,
}

impl Axes {
    fn of(curves: &Curves) -> Self {
        let (first, last) = (curves.capacities[0] as f64, curves.capacities[curves.capacities.len() - 1] as f64);
        let ratios = || curves.curves.iter().flat_map(|curve| &curve.ratios).copied();
        let top = (ratios().fold(0.0, f64::max) * 10.0).ceil().max(1.0) / 10.0;
        // With one capacity there is no way from the first to the last.
        Self { low: first.ln() - if first < last { 0.0 } else { 1.0 }, high: last.ln(), top }
    }

    fn x(&self, capacity: f64) -> f64 {
        WIDTH * (capacity.ln() - self.low) / (self.high - self.low)
    }

    fn y(&self, ratio: f64) -> f64 {
        HEIGHT * (1.0 - ratio / self.top)
    }
}

fn chart(html: &mut String, curves: &Curves, advice: Option<&Advice>) {
    let axes = Axes::of(curves);
    put(html, format_args!("<svg viewBox=\"-58 -14 {} {}\" role=\"img\">", WIDTH + 160.0, HEIGHT + 62.0));
    put(html, format_args!("<title>Hit ratio by capacity, one line for each policy</title>"));
    for step in 0..=(axes.top * 10.0).round() as u32 {
        let y = axes.y(f64::from(step) / 10.0);
        put(html, format_args!("<path class=\"grid\" d=\"M0 {y:.1}H{WIDTH}\"/>"));
        put(html, format_args!("<text x=\"-8\" y=\"{:.1}\" text-anchor=\"end\">{} %</text>", y + 4.0, step * 10));
    }
    let mut free = f64::MIN;
    for capacity in &curves.capacities {
        let x = axes.x(*capacity as f64);
        put(html, format_args!("<path class=\"grid\" d=\"M{x:.1} 0V{HEIGHT}\"/>"));
        if x >= free {
            let label = HumanCount(*capacity).to_string();
            free = x + 9.0 * label.len() as f64;
            let y = HEIGHT + 18.0;
            put(html, format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"));
        }
    }
    let (x, y) = (WIDTH / 2.0, HEIGHT + 40.0);
    put(html, format_args!("<text class=\"soft\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">entries held</text>"));
    // The first lie over the others.
    for (curve, colour) in curves.curves.iter().zip(COLOURS).rev() {
        let dashes = if curve.name == "optimum" { " stroke-dasharray=\"6 5\"" } else { "" };
        put(html, format_args!("<path class=\"curve\" stroke=\"{colour}\"{dashes} d=\""));
        for (i, (capacity, ratio)) in curves.capacities.iter().zip(&curve.ratios).enumerate() {
            let (x, y) = (axes.x(*capacity as f64), axes.y(*ratio));
            put(html, format_args!("{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" }));
        }
        put(html, format_args!("\"><title>{}</title></path>", curve.name));
    }
    if let Some(advice) = advice {
        mark(html, &axes, advice);
    }
    names(html, curves);
    html.push_str("</svg>");
}

/// The recommended point, with lines to both axes.
fn mark(html: &mut String, axes: &Axes, advice: &Advice) {
    let (x, y) = (axes.x(advice.capacity as f64), axes.y(advice.hit_ratio));
    put(html, format_args!("<path class=\"mark\" d=\"M0 {y:.1}H{x:.1}V{HEIGHT}\"/>"));
    put(html, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\" fill=\"currentColor\"/>"));
    // Curves rise from the left: there is room beside the line near the axis, but for the edge.
    let (aside, anchor) = if x < WIDTH * 0.8 { (x + 10.0, "start") } else { (x - 10.0, "end") };
    let (y, entries) = (HEIGHT - 10.0, HumanCount(advice.capacity));
    let place = format!("x=\"{aside:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    put(html, format_args!("<text class=\"label\" {place}>{}, {entries}</text>", advice.policy));
}

/// Curves meet at their right ends, so names cannot stand there: they are beside the area, the best mean hit ratio first.
fn names(html: &mut String, curves: &Curves) {
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    let mut named: Vec<_> = curves.curves.iter().zip(COLOURS).collect();
    named.sort_by(|a, b| mean(&b.0.ratios).total_cmp(&mean(&a.0.ratios)));
    for (i, (curve, colour)) in named.into_iter().enumerate() {
        let y = 12.0 + LINE * i as f64;
        let dashes = if curve.name == "optimum" { " stroke-dasharray=\"5 3\"" } else { "" };
        let x = WIDTH + 12.0;
        put(html, format_args!("<path class=\"curve\" stroke=\"{colour}\"{dashes} d=\"M{x} {:.1}h18\"/>", y - 4.0));
        put(html, format_args!("<text x=\"{}\" y=\"{y:.1}\">{}</text>", x + 24.0, curve.name));
    }
}

fn table(html: &mut String, curves: &Curves) {
    html.push_str("<div class=\"wide\"><table><tr><th>entries</th>");
    for curve in &curves.curves {
        put(html, format_args!("<th>{}</th>", curve.name));
    }
    for (row, capacity) in curves.capacities.iter().enumerate() {
        put(html, format_args!("</tr><tr><td>{}</td>", HumanCount(*capacity)));
        let best = curves.best(row);
        for (column, curve) in curves.curves.iter().enumerate() {
            let class = if column > 0 && curve.ratios[row] >= best { " class=\"best\"" } else { "" };
            put(html, format_args!("<td{class}>{:.2}</td>", 100.0 * curve.ratios[row]));
        }
    }
    html.push_str("</tr></table></div>");
}

fn put(html: &mut String, what: std::fmt::Arguments<'_>) {
    html.write_fmt(what).expect("a string takes all");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
