//! How the host wants the portal to look: a small style sheet of checked values, and the logo.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Answer;
use super::assets::short_hash;
use super::visitor::Visitor;
use crate::app::App;
use crate::catalogue::themes::{self, Value};

/// What a link may set for its visit.
pub(super) const NAMES: [&str; 4] = ["mode", "accent", "radius", "font"];
/// What text needs beside its background, by WCAG 2.2 AA.
const READABLE: f64 = 4.5;
/// The backgrounds on which the accent is read, as in the style sheet.
const LIGHT: Colour = Colour([0xf4, 0xf5, 0xf7]);
const DARK: Colour = Colour([0x20, 0x23, 0x2b]);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/theme/{name}", get(serve))
}

/// The values that hold for a visit: the project's, and over them those of its link.
pub(super) fn of(visitor: &Visitor) -> BTreeMap<String, String> {
    let mut theme = visitor.project.options.theme.clone();
    theme.extend(visitor.session.options.clone());
    theme
}

/// Where the visit's style sheet is; `None` where nothing is set.
pub(super) fn href(visitor: &Visitor) -> Option<String> {
    let style = style(&of(visitor));
    (!style.is_empty()).then(|| format!("/portal/theme/{}", file_name(&style)))
}

/// The address of the host's logo.
pub(super) fn logo(theme: &BTreeMap<String, String>) -> Option<&str> {
    let logo = theme.get("logo")?;
    themes::read("logo", logo).ok().map(|_| logo.as_str())
}

/// The origin that the logo comes from.
pub(super) fn logo_origin(theme: &BTreeMap<String, String>) -> Option<String> {
    match themes::read("logo", theme.get("logo")?) {
        Ok(Value::Logo(url)) => Some(url.origin().ascii_serialization()),
        _ => None,
    }
}

async fn serve(visitor: Visitor, Path(name): Path<String>) -> Answer {
    let style = style(&of(&visitor));
    // Where the theme was changed between the page and its style sheet, this is not what the name says.
    let kept = match name == file_name(&style) {
        true => "private, max-age=31536000, immutable",
        false => "no-store",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
    ];
    Ok((headers, style).into_response())
}

/// The name under which a style sheet is kept.
fn file_name(style: &str) -> String {
    format!("{}.css", short_hash(style.as_bytes()))
}

/// Whether a value can be used for its name.
pub(super) fn is_valid(name: &str, value: &str) -> bool {
    themes::read(name, value).is_ok()
}

/// The style sheet of a theme; values that cannot be used are passed over. It stands in the layer of the tokens, so that what
/// the visitor chooses goes before it.
fn style(theme: &BTreeMap<String, String>) -> String {
    let read = theme.iter().filter_map(|(name, value)| themes::read(name, value).ok());
    let declarations: String = read.filter_map(declarations).collect();
    if declarations.is_empty() { String::new() } else { format!("@layer tokens{{:root{{{declarations}}}}}") }
}

fn declarations(value: Value<'_>) -> Option<String> {
    match value {
        Value::Accent(accent) => {
            let accent = Colour(accent);
            let text = if accent.contrast(Colour::WHITE) >= READABLE { Colour::WHITE } else { Colour::BLACK };
            let (light, dark) = (accent.readable_on(LIGHT), accent.readable_on(DARK));
            Some(format!("--accent:{accent};--on-accent:{text};--accent-text:light-dark({light},{dark});"))
        }
        Value::Radius(pixels) => Some(format!("--radius:{pixels}px;")),
        Value::Font(names) => Some(format!("--font:{names},system-ui,sans-serif;")),
        Value::Mode("system") => Some("color-scheme:light dark;".to_owned()),
        Value::Mode(mode) => Some(format!("color-scheme:{mode};")),
        Value::Logo(_) => None,
    }
}

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour([u8; 3]);

impl Colour {
    const WHITE: Colour = Colour([255; 3]);
    const BLACK: Colour = Colour([0; 3]);

    /// The relative luminance of WCAG.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(self, other: Colour) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The same colour, as much darker or lighter as it takes to be read on `ground`.
    fn readable_on(self, ground: Colour) -> Colour {
        let end = if ground.luminance() > 0.5 { Colour::BLACK } else { Colour::WHITE };
        let mixed = |percent: u32| {
            let mix = |from: u8, to: u8| (u32::from(from) * (100 - percent) + u32::from(to) * percent) / 100;
            Colour(std::array::from_fn(|at| u8::try_from(mix(self.0[at], end.0[at])).unwrap_or(u8::MAX)))
        };
        (0..=100).step_by(5).map(mixed).find(|colour| colour.contrast(ground) >= READABLE).unwrap_or(end)
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_theme_is_a_style_sheet_in_the_layer_of_tokens() {
        let set = theme(&[
            ("mode", "dark"),
            ("radius", "4"),
            ("font", "Inter, 'Open Sans'"),
            ("accent", "red;}"),
            ("x", "1"),
        ]);
        assert_eq!(
            style(&set),
            "@layer tokens{:root{--font:Inter, 'Open Sans',system-ui,sans-serif;color-scheme:dark;--radius:4px;}}"
        );
        assert_eq!(style(&theme(&[("mode", "sepia")])), "");
    }

    #[test]
    fn the_accent_is_made_readable() {
        for colour in [[0xff, 0xff, 0], [0; 3], [0x1d, 0x4e, 0xd8], [0x77; 3]].map(Colour) {
            for ground in [LIGHT, DARK] {
                assert!(colour.readable_on(ground).contrast(ground) >= READABLE, "{colour}");
            }
        }
        assert_eq!(Colour([0x1d, 0x4e, 0xd8]).readable_on(LIGHT).to_string(), "#1d4ed8");
        assert!((Colour::WHITE.contrast(Colour::BLACK) - 21.0).abs() < 0.01);
    }

    #[test]
    fn a_logo_comes_by_https_only() {
        let origin = |logo: &str| logo_origin(&theme(&[("logo", logo)]));
        assert_eq!(origin("https://cdn.example.com/a.png").as_deref(), Some("https://cdn.example.com"));
        assert_eq!(origin("http://cdn.example.com/a.png"), None);
        assert_eq!(origin("https://cdn.example.com;sandbox/a.png"), None);
    }
}
