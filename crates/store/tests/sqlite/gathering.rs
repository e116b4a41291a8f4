//! Figures are gathered over several commits while much comes at once, and not for long.

use fanfare_engine::time::Timestamp;
use fanfare_store::queue::Operation;
use fanfare_store::sqlite::Core;
use fanfare_store::stats::{self, Span, Subject};

use super::feed::{Feed, NOW, ORGANIZATION};

fn events(feed: &mut Feed, count: usize) -> Vec<Operation> {
    (0..count).map(|_| Operation::Accept(feed.event(1).1)).collect()
}

fn written(core: &Core) -> u64 {
    let series = core.read(&stats::series(Subject::Organization(ORGANIZATION), Span::Hour, Timestamp(0))).unwrap();
    series.iter().map(|(_, figures)| figures.events).sum()
}

#[test]
fn many_operations_share_the_writing_of_figures() {
    let mut core = Core::in_memory().unwrap();
    let mut feed = Feed::of(&core.join(NOW).unwrap());
    let later = |millis| Timestamp(NOW.millis() + millis);
    let mut keep = |core: &mut Core, at, count| {
        assert!(core.apply(at, &events(&mut feed, count)).iter().all(Result::is_ok));
    };
    keep(&mut core, NOW, 1);
    assert_eq!(written(&core), 1, "few are written with their own commit");
    keep(&mut core, later(10), 100);
    keep(&mut core, later(500), 100);
    assert_eq!(written(&core), 1);
    keep(&mut core, later(1_010), 100);
    assert_eq!(written(&core), 301, "a second is over");
    keep(&mut core, later(1_020), 100);
    keep(&mut core, later(1_030), 2);
    assert_eq!(written(&core), 403);
    keep(&mut core, later(1_040), 100);
    core.write_figures().unwrap();
    assert_eq!(written(&core), 503);
}
