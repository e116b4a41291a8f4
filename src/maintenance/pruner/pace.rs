//! How fast pruning goes beside intake and delivery: pure functions.

use std::time::Duration;

/// Rows that are removed in one commit while nobody waits for the writer. An event, its delivery and its attempt are three.
const ROWS: u32 = 90;
/// The same while others wait.
const ROWS_AMONG_OTHERS: u32 = 45;
/// From so many waiting operations on, others wait for the writer.
const OTHERS: usize = 8;
/// The longest rest, so that a disk that stalls for a while does not end pruning for long.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How many rows the next piece removes while so many operations wait for the writer.
pub(super) fn rows(waiting: usize) -> u32 {
    if waiting < OTHERS { ROWS } else { ROWS_AMONG_OTHERS }
}

/// How long to rest after a piece that took so long, from when it was handed over until it was on the disk: twice as long, so
/// that most commits are without one. A busy writer lets it wait, and is left alone the longer.
pub(super) fn rest(took: Duration) -> Duration {
    (2 * took).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_smaller_while_others_wait() {
        assert_eq!(rows(0), ROWS);
        assert_eq!(rows(OTHERS - 1), ROWS);
        assert_eq!(rows(OTHERS), ROWS_AMONG_OTHERS);
        assert_eq!(rows(16_384), ROWS_AMONG_OTHERS);
    }

    #[test]
    fn the_rest_grows_with_the_piece_and_ends() {
        assert_eq!(rest(Duration::from_millis(7)), Duration::from_millis(14));
        assert_eq!(rest(Duration::from_millis(70)), Duration::from_millis(140));
        assert_eq!(rest(Duration::from_secs(60)), LONGEST_REST);
    }
}
