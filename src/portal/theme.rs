//! How the host wants the portal to look: a small style sheet of checked values, and the logo.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use url::Url;

use super::Answer;
use super::assets::short_hash;
use super::visitor::Visitor;
use crate::app::App;

/// What a link may set for its visit.
pub(super) const NAMES: [&str; 4] = ["mode", "accent", "radius", "font"];
/// The longest font list, in bytes.
const MAX_FONT_BYTES: usize = 120;
/// The largest radius, in pixels.
const MAX_RADIUS: u32 = 24;
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
    (!style.is_empty()).then(|| format!("/portal/theme/{}.css", short_hash(style.as_bytes())))
}

/// The address of the host's logo.
pub(super) fn logo(theme: &BTreeMap<String, String>) -> Option<&str> {
    let logo = theme.get("logo")?;
    Url::parse(logo).ok().filter(|url| url.scheme() == "https" && url.has_host()).map(|_| logo.as_str())
}

/// The origin that the logo comes from.
pub(super) fn logo_origin(theme: &BTreeMap<String, String>) -> Option<String> {
    Url::parse(logo(theme)?).ok().map(|url| url.origin().ascii_serialization())
}

async fn serve(visitor: Visitor) -> Answer {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable")),
    ];
    Ok((headers, style(&of(&visitor))).into_response())
}

/// Whether a value can be used for its name.
pub(super) fn is_valid(name: &str, value: &str) -> bool {
    declarations(name, value).is_some()
}

/// The style sheet of a theme; values that cannot be used are passed over.
fn style(theme: &BTreeMap<String, String>) -> String {
    let declarations: Vec<String> = theme.iter().filter_map(|(name, value)| declarations(name, value)).collect();
    if declarations.is_empty() { String::new() } else { format!(":root{{{}}}", declarations.concat()) }
}

fn declarations(name: &str, value: &str) -> Option<String> {
    match name {
        "accent" => {
            let accent = Colour::parse(value)?;
            let text = if accent.contrast(Colour::WHITE) >= READABLE { Colour::WHITE } else { Colour::BLACK };
            let (light, dark) = (accent.readable_on(LIGHT), accent.readable_on(DARK));
            Some(format!("--accent:{accent};--on-accent:{text};--accent-text:light-dark({light},{dark});"))
        }
        "radius" => {
            let pixels: u32 = value.strip_suffix("px").unwrap_or(value).parse().ok()?;
            if pixels > MAX_RADIUS {
                return None;
            }
            Some(format!("--radius:{pixels}px;"))
        }
        "font" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || " ,-'".contains(c);
            let good = !value.is_empty() && value.len() <= MAX_FONT_BYTES && value.chars().all(plain);
            let paired = value.matches('\'').count().is_multiple_of(2);
            (good && paired).then(|| format!("--font:{value},system-ui,sans-serif;"))
        }
        "mode" => match value {
            "light" | "dark" => Some(format!("color-scheme:{value};")),
            "system" => Some("color-scheme:light dark;".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour([u8; 3]);

impl Colour {
    const WHITE: Colour = Colour([255; 3]);
    const BLACK: Colour = Colour([0; 3]);

    /// Reads `#rgb` and `#rrggbb`.
    fn parse(text: &str) -> Option<Colour> {
        let digits: Option<Vec<u8>> = text
            .strip_prefix('#')?
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        match digits?[..] {
            [r, g, b] => Some(Colour([r * 17, g * 17, b * 17])),
            [r, rr, g, gg, b, bb] => Some(Colour([r * 16 + rr, g * 16 + gg, b * 16 + bb])),
            _ => None,
        }
    }

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

    #[test]
    fn values_that_could_leave_their_declaration_are_not_used() {
        for (name, value) in [
            ("accent", "red;}"),
            ("accent", "#12345"),
            ("radius", "8px;color:red"),
            ("radius", "900"),
            ("font", "x;}body{}"),
            ("font", "it's"),
            ("mode", "sepia"),
            ("other", "1"),
        ] {
            assert!(!is_valid(name, value), "{name}: {value}");
        }
        let theme = BTreeMap::from(
            [("mode", "dark"), ("radius", "4"), ("font", "Inter, 'Open Sans'")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(
            style(&theme),
            ":root{--font:Inter, 'Open Sans',system-ui,sans-serif;color-scheme:dark;--radius:4px;}"
        );
    }

    #[test]
    fn the_accent_is_made_readable() {
        for text in ["#ffff00", "#000", "#1d4ed8", "#777777"] {
            let accent = Colour::parse(text).unwrap();
            for ground in [LIGHT, DARK] {
                assert!(accent.readable_on(ground).contrast(ground) >= READABLE, "{text}");
            }
        }
        assert_eq!(Colour::parse("#1d4ed8").unwrap().readable_on(LIGHT).to_string(), "#1d4ed8");
        assert!((Colour::WHITE.contrast(Colour::BLACK) - 21.0).abs() < 0.01);
    }

    #[test]
    fn a_logo_comes_by_https_only() {
        let theme = |logo: &str| BTreeMap::from([("logo".to_owned(), logo.to_owned())]);
        assert_eq!(logo_origin(&theme("https://cdn.example.com/a.png")).as_deref(), Some("https://cdn.example.com"));
        assert_eq!(logo_origin(&theme("http://cdn.example.com/a.png")), None);
        assert_eq!(logo_origin(&theme("javascript:alert(1)")), None);
    }
}
