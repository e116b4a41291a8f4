//! Texts with fields in braces, `{id}.{timestamp}.{body}`, taken apart once.

use super::source::Source;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Field(Source),
    /// The request's body as it is sent; in what is signed only.
    Body,
    /// The signature, encoded, or the joined signatures; in the form of a signature only.
    Signature,
}

/// A text with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub parts: Vec<Part>,
}

impl Template {
    /// Takes `text` apart. `{{` and `}}` stand for braces; `extra` are the names besides the fields that may be used here.
    /// The error says what is wrong.
    pub fn parse(text: &str, extra: &[(&str, Part)]) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(doubled) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = doubled;
                continue;
            }
            if brace == "}" {
                return Err(format!("{text:?} has a }} without its {{; write }}}} for a brace"));
            }
            let Some(end) = after.find('}') else {
                return Err(format!("{text:?} has a {{ without its }}; write {{{{ for a brace"));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(part(&after[..end], extra)?);
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// A template that is nothing but one part.
    pub fn of(part: Part) -> Template {
        Template { parts: vec![part] }
    }

    /// Whether `part` is in it.
    pub fn has(&self, part: &Part) -> bool {
        self.parts.contains(part)
    }
}

fn part(name: &str, extra: &[(&str, Part)]) -> Result<Part, String> {
    match extra.iter().find(|(known, _)| *known == name) {
        Some((_, part)) => Ok(part.clone()),
        None => Source::parse(name).map(Part::Field).map_err(|reason| match extra {
            [] => reason,
            _ => format!("{reason}; here also {}", extra.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_braces_are_told_apart() {
        let template = Template::parse("a{{{id}}}{body}", &[("body", Part::Body)]).unwrap();
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(template.parts, [text("a{"), Part::Field(Source::MessageId), text("}"), Part::Body]);
    }

    #[test]
    fn mistakes_are_explained() {
        for (wrong, needle) in
            [("{id", "without its }"), ("id}", "without its {"), ("{nonsense}", "\"nonsense\" is no field")]
        {
            let reason = Template::parse(wrong, &[]).unwrap_err();
            assert!(reason.contains(needle), "{reason}");
        }
        assert!(Template::parse("{body}", &[]).is_err());
    }
}
