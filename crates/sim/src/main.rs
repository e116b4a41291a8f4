//! Runs many seeds: `cargo run -p fanfare-sim --release -- --seeds 10000`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use fanfare_sim::{Plan, Report, Sabotage};

const USAGE: &str = "usage: fanfare-sim [--seeds COUNT] [--from SEED] [--long] [--sabotage NAME]
  --seeds COUNT    how many seeds to run (1000)
  --from SEED      the first of them (0)
  --long           longer runs with more of everything
  --keep-going     do not stop at the first violation; say at the end how often each invariant was broken
  --sabotage NAME  break the runner on purpose; the run fails where no seed notices it";

/// Seeds named for each broken invariant.
const SHOWN: usize = 5;

struct Wish {
    from: u64,
    seeds: u64,
    keep_going: bool,
    plan: Plan,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(wish) => run(&wish),
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let (mut from, mut seeds, mut long, mut keep_going, mut sabotage) = (0, 1_000, false, false, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--seeds" => seeds = number(value()?)?,
            "--from" => from = number(value()?)?,
            "--long" => long = true,
            "--keep-going" => keep_going = true,
            "--sabotage" => sabotage = Some(named(&value()?)?),
            other => return Err(format!("{other:?} is not known")),
        }
    }
    let plan = Plan { sabotage, ..if long { Plan::long() } else { Plan::short() } };
    Ok(Wish { from, seeds, keep_going, plan })
}

fn named(name: &str) -> Result<Sabotage, String> {
    let names = || Sabotage::ALL.map(|sabotage| format!("{sabotage:?}")).join(", ");
    let found = Sabotage::ALL.into_iter().find(|sabotage| format!("{sabotage:?}") == name);
    found.ok_or_else(|| format!("{name:?} is none of {}", names()))
}

fn run(wish: &Wish) -> ExitCode {
    let mut sum = Report::default();
    let mut broken: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for seed in wish.from..wish.from + wish.seeds {
        match fanfare_sim::run(seed, &wish.plan) {
            Ok(report) => sum.add(&report),
            Err(violation) => {
                broken.entry(violation.rule).or_default().push(seed);
                if !wish.keep_going {
                    println!("{violation}");
                    break;
                }
            }
        }
    }
    println!("{sum:#?}");
    for (rule, seeds) in &broken {
        println!("{} seeds broke “{rule}”, first {:?}", seeds.len(), &seeds[..seeds.len().min(SHOWN)]);
    }
    match (wish.plan.sabotage, broken.is_empty()) {
        (None, true) => println!("{} seeds, every invariant held", wish.seeds),
        (None, false) => return ExitCode::FAILURE,
        (Some(sabotage), false) => println!("{sabotage:?} was noticed"),
        (Some(sabotage), true) => {
            println!("no seed noticed {sabotage:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
