//! Deliveries: lists, one of them, its attempts, sending again, cancelling, and the live stream.

mod act;
mod body;
mod list;
mod stream;

pub use self::act::{cancel, resend};
pub use self::body::{AttemptBody, DeliveryBody};
pub use self::list::{DeliveryQuery, attempts, get, list, list_all};
pub use self::stream::stream;

// The derive of the routes looks for these beside the handlers.
pub use self::act::{__path_cancel, __path_resend};
pub use self::list::{__path_attempts, __path_get, __path_list, __path_list_all};
pub use self::stream::__path_stream;
