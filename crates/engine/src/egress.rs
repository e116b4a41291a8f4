//! Which addresses may be dialled, and which URLs a webhook may have.
//!
//! A customer chooses the URL, and the server that calls it stands inside the operator's network: so every address
//! is judged before a packet goes to it, however it was spelled and wherever it came from. [`parse_endpoint`] reads
//! a URL in one canonical way, [`EgressPolicy`] says whether the result may be dialled, [`Denied`] keeps what the
//! customer is told apart from what the operator is told.

mod address;
mod endpoint;
mod policy;
mod ports;

pub use endpoint::{Endpoint, EndpointError, Host, MAX_URL_BYTES, Scheme, parse_endpoint, parse_url};
pub use policy::{AllowError, BLOCKED, Denied, EgressPolicy};
