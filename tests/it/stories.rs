//! The stories of four systems, each played whole through the API, as its own description tells it, against a receiver that
//! looks at every byte.

mod enablenow;
mod enate;
mod etlworks;
mod one_click_contractor;
mod receiver;
pub(crate) mod stage;
