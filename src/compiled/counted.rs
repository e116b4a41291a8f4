//! JSON values that count how often they are read, so that a schema check has a budget of steps, time and stack.
//!
//! The validation library has no such budget, and a small schema can cost more time or stack than there is. The library reads values
//! through a trait, and here every read counts as a step. When the budget is exhausted, the read unwinds the stack, because the
//! library's recursion has no other exit.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Map, Number, Value};
use tokio::time::Instant;

/// How many bytes of the stack it may take: half of what a thread has by default.
const MAX_STACK: usize = 1 << 20;
/// After how many steps the clock is looked at again.
const LOOK_AGAIN: u64 = 64;
/// How many bytes of a text count as a step.
const TEXT_STEP: usize = 64;

/// The budget of a check.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often values may be read.
    pub steps: u64,
    /// How long it may take, whatever the steps are.
    pub time: Duration,
}

/// The budget of a check is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

#[derive(Clone, Copy)]
struct Budget {
    left: u64,
    until_look: u64,
    end: Instant,
    /// Where the stack was when the check began.
    stack: usize,
}

thread_local! {
    /// Of the check that is under way on this thread.
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
}

/// Runs work that reads values through [`Look`], within a budget.
///
/// # Errors
/// The budget is exhausted.
pub(super) fn within<T>(effort: Effort, work: impl FnOnce() -> T) -> Result<T, Exhausted> {
    let end = Instant::now() + effort.time;
    let budget = Budget { left: effort.steps, until_look: LOOK_AGAIN, end, stack: stack_address() };
    let before = BUDGET.replace(Some(budget));
    let result = catch_unwind(AssertUnwindSafe(work));
    BUDGET.set(before);
    result.map_err(|cause| match cause.downcast::<Exhausted>() {
        Ok(exhausted) => *exhausted,
        Err(cause) => resume_unwind(cause),
    })
}

/// Counts steps; does not return where there are too many.
fn spend(steps: usize) {
    let Some(mut budget) = BUDGET.get() else { return };
    let steps = u64::try_from(steps).unwrap_or(u64::MAX);
    budget.until_look = budget.until_look.saturating_sub(steps);
    if budget.until_look == 0 {
        budget.until_look = LOOK_AGAIN;
        if Instant::now() >= budget.end {
            budget.left = 0;
        }
    }
    let is_enough = budget.left >= steps && budget.stack.abs_diff(stack_address()) <= MAX_STACK;
    budget.left = budget.left.saturating_sub(steps);
    BUDGET.set(Some(budget));
    if !is_enough {
        // Not a panic: nothing is wrong, and nothing is to be logged.
        resume_unwind(Box::new(Exhausted));
    }
}

/// About where the stack is now.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// The representation, for the library.
pub(super) struct Counted;

/// A value that counts how often it is read.
#[derive(Clone, Copy)]
pub(super) struct Look<'a>(pub(super) &'a Value);

/// An object's members.
pub(super) struct Members<'a>(&'a Map<String, Value>);

/// The name of a member. Reading it counts: it may be compared with many patterns.
pub(super) struct Name<'a>(&'a str);

/// A list's entries.
pub(super) struct Entries<'a>(&'a [Value]);

impl Json for Counted {
    type Node<'a> = Look<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Look<'_>) -> T) -> T {
        *buffer = Value::String(string.to_owned());
        f(Look(buffer))
    }
}

impl<'a> Look<'a> {
    fn value(self) -> &'a Value {
        spend(1);
        self.0
    }
}

impl<'a> Node<'a, Counted> for Look<'a> {
    type Object = Members<'a>;
    type Array = Entries<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        self.value().as_object().map(Members)
    }

    fn as_array(&self) -> Option<Entries<'a>> {
        self.value().as_array().map(|entries| Entries(entries))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.value().as_str()?;
        spend(text.len() / TEXT_STEP);
        Some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.value().as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.value().as_bool()
    }

    fn is_null(&self) -> bool {
        self.value().is_null()
    }

    fn json_type(&self) -> JsonType {
        match self.value() {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Borrowed(self.value())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.value()).addr()))
    }
}

impl<'a> Object<'a, Counted> for Members<'a> {
    type Node = Look<'a>;
    type MemberName = Name<'a>;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Look<'a>> {
        spend(1);
        self.0.get(key).map(Look)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

impl<'a> Array<'a, Counted> for Entries<'a> {
    type Node = Look<'a>;
    type ElementsIter = EntriesIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> EntriesIter<'a> {
        EntriesIter(self.0.iter())
    }
}

impl AsRef<str> for Name<'_> {
    fn as_ref(&self) -> &str {
        spend(1 + self.0.len() / TEXT_STEP);
        self.0
    }
}

impl<'a> From<Name<'a>> for Cow<'a, str> {
    fn from(name: Name<'a>) -> Self {
        Cow::Borrowed(name.0)
    }
}

/// Goes through an object's members.
pub(super) struct MembersIter<'a>(serde_json::map::Iter<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (Name<'a>, Look<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        spend(1);
        self.0.next().map(|(name, value)| (Name(name), Look(value)))
    }
}

/// Goes through a list's entries.
pub(super) struct EntriesIter<'a>(std::slice::Iter<'a, Value>);

impl<'a> Iterator for EntriesIter<'a> {
    type Item = Look<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        spend(1);
        self.0.next().map(Look)
    }
}
