//! What a list is asked for: its filters, kept in the address.

use axum::http::Uri;
use url::form_urlencoded::Serializer;

use super::form::Form;

/// The parameter that says where a list goes on.
pub(super) const CURSOR: &str = "cursor";
/// The longest value of a filter, in characters; the rest is cut off.
const MAX_CHARS: usize = 256;

/// The filters of a list that have a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    filters: Vec<(&'static str, String)>,
    cursor: Option<String>,
}

impl Wanted {
    /// Reads the filters of these names; others are passed over.
    pub(super) fn read(names: &[&'static str], query: &str) -> Wanted {
        let form = Form::parse(query.as_bytes());
        let value = |name: &str| form.given(name).map(|value| value.chars().take(MAX_CHARS).collect::<String>());
        Wanted {
            filters: names.iter().filter_map(|&name| Some((name, value(name)?))).collect(),
            cursor: form.given(CURSOR).map(str::to_owned),
        }
    }

    /// The same of an address.
    pub(super) fn of(names: &[&'static str], uri: &Uri) -> Wanted {
        Wanted::read(names, uri.query().unwrap_or_default())
    }

    /// A filter's value; empty where it has none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Whether it shows less than everything.
    pub(super) fn is_filtered(&self) -> bool {
        !self.filters.is_empty()
    }

    /// The filters as a query, from the list's start.
    pub(super) fn query(&self) -> String {
        self.filters
            .iter()
            .fold(Serializer::new(String::new()), |mut query, (name, value)| {
                query.append_pair(name, value);
                query
            })
            .finish()
    }

    /// The filters and where the list goes on as a query, for a way back to this very page of it.
    pub(super) fn whole(&self) -> String {
        self.href("", self.cursor()).trim_start_matches('?').to_owned()
    }

    /// The address of the list at `path` with these filters, going on at `cursor`.
    pub(super) fn href(&self, path: &str, cursor: Option<&str>) -> String {
        let mut query = self.query();
        if let Some(cursor) = cursor {
            let cursor = Serializer::new(String::new()).append_pair(CURSOR, cursor).finish();
            let join = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{join}{cursor}");
        }
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_what_is_wanted() {
        let wanted = Wanted::read(&["search", "status"], "status=&search=a%26b&other=1&cursor=xyz");
        assert_eq!((wanted.get("search"), wanted.given("status"), wanted.cursor()), ("a&b", None, Some("xyz")));
        assert_eq!(wanted.href("/list", None), "/list?search=a%26b");
        assert_eq!(wanted.href("/list", Some("n")), "/list?search=a%26b&cursor=n");
        assert_eq!(Wanted::default().href("/list", Some("n")), "/list?cursor=n");
        assert_eq!(Wanted::read(&["search", "status"], &wanted.whole()), wanted);
        assert_eq!(Wanted::default().whole(), "");
        assert!(wanted.is_filtered() && !Wanted::default().is_filtered());
    }
}
