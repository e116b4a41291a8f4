//! What goes over the wire: profiles, settings, headers, bodies, signatures and retries, from the outside.

mod builders;
mod catalogue;
mod headers;
mod known_answers;
mod message_signatures;
mod profiles;
mod rendering;
mod retries;
mod secrets;
mod settings;
mod systems;
mod vendors;
