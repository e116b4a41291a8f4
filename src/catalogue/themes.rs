//! What a host may say of how the portal looks: names, and values that can be used and cannot leave their place in a style
//! sheet or a policy.

use url::Url;

/// The names that there are.
pub const NAMES: [&str; 5] = ["accent", "font", "logo", "mode", "radius"];
/// The longest font list, in bytes.
const MAX_FONT_BYTES: usize = 120;
/// The longest address of a logo, in bytes.
const MAX_LOGO_BYTES: usize = 200;
/// The largest radius, in pixels.
const MAX_RADIUS: u32 = 24;

/// One value of a theme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Red, green and blue of the colour of links and buttons.
    Accent([u8; 3]),
    /// Names of fonts, as a style sheet lists them.
    Font(&'a str),
    /// Where the host's logo is.
    Logo(Url),
    /// `light`, `dark` or `system`.
    Mode(&'a str),
    /// The radius of corners, in pixels.
    Radius(u32),
}

/// Reads the value of this name.
///
/// # Errors
/// What it must be.
pub fn read<'a>(name: &str, value: &'a str) -> Result<Value<'a>, String> {
    let (read, must) = match name {
        "accent" => (colour(value).map(Value::Accent), "must be a colour such as #0f766e".to_owned()),
        "font" => (
            Some(value).filter(|value| is_font_list(value)).map(Value::Font),
            format!("must name fonts in at most {MAX_FONT_BYTES} characters, such as Inter, 'Open Sans'"),
        ),
        "logo" => (
            logo(value).map(Value::Logo),
            format!(
                "must be an https address of at most {MAX_LOGO_BYTES} characters: letters, digits and %.,()-_:/+=?&"
            ),
        ),
        "mode" => (
            Some(value).filter(|value| ["light", "dark", "system"].contains(value)).map(Value::Mode),
            "must be light, dark or system".to_owned(),
        ),
        "radius" => (radius(value).map(Value::Radius), format!("must be a number of pixels from 0 to {MAX_RADIUS}")),
        _ => (None, format!("is not known here; known are {}", NAMES.join(", "))),
    };
    read.ok_or(must)
}

/// Reads `#rgb` and `#rrggbb`.
fn colour(text: &str) -> Option<[u8; 3]> {
    let digits: Option<Vec<u8>> =
        text.strip_prefix('#')?.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits?[..] {
        [r, g, b] => Some([r * 17, g * 17, b * 17]),
        [r, rr, g, gg, b, bb] => Some([r * 16 + rr, g * 16 + gg, b * 16 + bb]),
        _ => None,
    }
}

fn is_font_list(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ,-'".contains(c);
    let paired = text.matches('\'').count().is_multiple_of(2);
    !text.trim().is_empty() && text.len() <= MAX_FONT_BYTES && text.chars().all(plain) && paired
}

fn logo(text: &str) -> Option<Url> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%.,()-_:/+=?&".contains(c);
    let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_LOGO_BYTES && text.chars().all(plain))?;
    (url.scheme() == "https" && has_plain_host(&url)).then_some(url)
}

fn radius(text: &str) -> Option<u32> {
    text.strip_suffix("px").unwrap_or(text).parse().ok().filter(|pixels| *pixels <= MAX_RADIUS)
}

/// Whether a URL's host has only what names and addresses need. Parsers of URLs let more pass, such as `;` and `,`, by which
/// a policy of a page would get further rules.
pub(super) fn has_plain_host(url: &Url) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    url.host_str().is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_could_leave_their_place_are_not_read() {
        for (name, value) in [
            ("accent", "red"),
            ("accent", "red;}"),
            ("accent", "#12345"),
            ("radius", "8px;color:red"),
            ("radius", "900"),
            ("font", ""),
            ("font", "x;}body{}"),
            ("font", "it's"),
            ("mode", "sepia"),
            ("logo", "http://cdn.example.com/a.png"),
            ("logo", "javascript:alert(1)"),
            ("logo", "https://cdn.example.com;sandbox/a.png"),
            ("logo", "https://a.example,b.example/a.png"),
            ("other", "1"),
        ] {
            assert!(read(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn what_can_be_used_is_read() {
        assert_eq!(read("accent", "#0af"), Ok(Value::Accent([0, 0xaa, 0xff])));
        assert_eq!(read("accent", "#1d4ed8"), Ok(Value::Accent([0x1d, 0x4e, 0xd8])));
        assert_eq!(read("radius", "4px"), Ok(Value::Radius(4)));
        assert_eq!(read("font", "Inter, 'Open Sans'"), Ok(Value::Font("Inter, 'Open Sans'")));
        assert_eq!(read("mode", "system"), Ok(Value::Mode("system")));
        let logo = "https://cdn.example.com/logo.png?v=1";
        assert_eq!(read("logo", logo), Ok(Value::Logo(logo.parse().unwrap())));
    }
}
