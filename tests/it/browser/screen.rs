//! A screen of portal or console: its route, and what is done to see it.

use std::collections::BTreeMap;

use super::driver::Browser;

/// What the placeholders of routes stand for, by their names and by the names that screens use instead.
pub(super) type Things = BTreeMap<&'static str, String>;

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    /// As the router has it.
    pub(super) route: &'static str,
    query: &'static str,
    /// Which thing stands for the route's placeholder, where it is not the one of its name.
    of: Option<&'static str>,
    /// A field to fill in first, and with what.
    fill: Option<(&'static str, &'static str)>,
    /// What is pressed, one after another.
    press: &'static [&'static str],
    /// What there must be then.
    see: &'static str,
    /// Whether it says why there is no page.
    refuses: bool,
}

/// The screen that a route shows at once.
pub(super) const fn at(route: &'static str) -> Screen {
    Screen { route, query: "", of: None, fill: None, press: &[], see: "main h1", refuses: false }
}

impl Screen {
    /// With this query.
    pub(super) const fn query(mut self, query: &'static str) -> Screen {
        self.query = query;
        self
    }

    /// Of this thing.
    pub(super) const fn of(mut self, thing: &'static str) -> Screen {
        self.of = Some(thing);
        self
    }

    /// After a field was filled in.
    pub(super) const fn fill(mut self, field: &'static str, text: &'static str) -> Screen {
        self.fill = Some((field, text));
        self
    }

    /// After these were pressed.
    pub(super) const fn press(mut self, buttons: &'static [&'static str]) -> Screen {
        self.press = buttons;
        self
    }

    /// As soon as this is there.
    pub(super) const fn see(mut self, selector: &'static str) -> Screen {
        self.see = selector;
        self
    }

    /// That says why there is nothing to see.
    pub(super) const fn refuses(mut self) -> Screen {
        self.refuses = true;
        self
    }

    /// Its path and query.
    pub(super) fn path(&self, things: &Things) -> String {
        let mut path = String::new();
        let mut rest = self.route;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').unwrap();
            let thing = things.get(self.of.unwrap_or(name));
            path = format!("{path}{before}{}", thing.unwrap_or_else(|| panic!("nothing stands for {name}")));
            rest = behind;
        }
        format!("{path}{rest}{}", self.query)
    }

    /// Goes there.
    pub(super) async fn show(&self, browser: &Browser, base: &str, things: &Things) {
        browser.resize(1280).await;
        browser.open(&format!("{base}{}", self.path(things))).await;
        browser.see("main h1").await;
        // What is filled in or pressed may be folded up.
        browser.unfold().await;
        if let Some((field, text)) = self.fill {
            browser.fill(field, text).await;
        }
        for button in self.press {
            browser.press(button).await;
        }
        browser.see(self.see).await;
        let refused = browser.run("return document.querySelector('[data-message]') !== null").await;
        assert_eq!(refused, self.refuses, "{self} is not what was to be seen");
    }
}

/// For reports.
impl std::fmt::Display for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.route, self.query)?;
        self.of.map_or(Ok(()), |thing| write!(f, " of {thing}"))?;
        self.press.iter().try_for_each(|button| write!(f, ", {button} pressed"))
    }
}
