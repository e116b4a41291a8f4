//! The load's threads give way: waking up, they do not interrupt what they measure.
//!
//! On one machine, each request that a server sends wakes the receiver, and each answer the load; Linux then often lets them
//! run at once, in the middle of the server's work, as senders and receivers on machines of their own never would. Threads of
//! its batch policy (sched(7)) wait for their turn. They do so for every target, the limits included.

/// Makes the calling thread give way. Where the system does not let it, the measurement goes on and says so.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, set_scheduler};
        let batch = set_scheduler(Pid::current_thread(), Scheduler::SCHED_BATCH, SchedulerParams { priority: 0 });
        if let Err(error) = batch {
            eprintln!("the load interrupts what it measures, since it could not be given the batch policy: {error}");
        }
    }
}
