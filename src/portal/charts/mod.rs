//! Charts of what was sent: figures in, drawings and the tables behind them out. `range` says which time is shown, `ticks`
//! where the axes are marked, `plot` draws, `four` makes the charts that pages show.
//!
//! A drawing stretches to the width that it gets: places across are in percent, places down in pixels, so that texts keep
//! their size. Colours come from the style sheet, by classes.

mod four;
mod plot;
mod range;
mod ticks;

use fanfare_store::stats::{self, Subject};

pub(super) use self::four::Charts;
pub(super) use self::range::Range;
pub(super) use self::ticks::grouped;
use super::texts::Texts;
use crate::app::App;
use crate::catalogue::CatalogueResult;

/// The parameter of an address that says which time is shown.
pub(super) const PARAMETER: &str = "range";

/// The charts of a project, an organization or a webhook over `range`, up to now.
///
/// # Errors
/// The store's.
pub(super) async fn of(app: &App, t: &Texts, subject: Subject, range: Range) -> CatalogueResult<Charts> {
    let now = app.now();
    let rows = app.store.read(stats::series(subject, range.span(), range.start(now))).await?;
    Ok(Charts::of(t, range, &range.slots(now, &rows)))
}
