//! The signature schemes: a key prepared once, a message signed in pieces, the signature written as text.

mod key;
mod message;
mod secret;

pub use key::{Key, KeyError};
pub use message::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT};
pub use message::{Component, Covered, DigestAlgorithm, Parameters, free_label, is_label, signature_base};
pub use secret::{MAX_SECRET_TEXT, check_secret, make_secret};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What computes the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    Ed25519,
}

/// How the key's bytes are had from the secret's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// The whole text is the key.
    Utf8,
    /// `whsec_` and base64 of the key.
    Whsec,
    /// `whsk_` and base64 of an ed25519 seed (32 bytes) or of seed and public key (64 bytes).
    Whsk,
    Hex,
    Base64,
}

impl KeyForm {
    /// What the text starts with; a secret that starts otherwise is none of this form.
    pub fn prefix(self) -> &'static str {
        match self {
            KeyForm::Whsec => "whsec_",
            KeyForm::Whsk => "whsk_",
            KeyForm::Utf8 | KeyForm::Hex | KeyForm::Base64 => "",
        }
    }
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In lower case.
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

impl Encoding {
    /// Appends `bytes` to `out` as text.
    pub fn append(self, bytes: &[u8], out: &mut String) {
        match self {
            Encoding::Hex => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                for byte in bytes {
                    out.push(DIGITS[usize::from(byte >> 4)].into());
                    out.push(DIGITS[usize::from(byte & 15)].into());
                }
            }
            Encoding::Base64 => BASE64.encode_string(bytes, out),
        }
    }
}

/// A signature as bytes: 20 to 64 of them.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    bytes: [u8; 64],
    len: usize,
}

impl Signature {
    fn new(signature: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes[..signature.len()].copy_from_slice(signature);
        Signature { bytes, len: signature.len() }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The bytes that hexadecimal digits stand for; `None` where they are none or an odd number.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips() {
        let mut text = String::new();
        Encoding::Hex.append(&[0, 15, 255, 160], &mut text);
        assert_eq!(text, "000fffa0");
        assert_eq!(decode_hex("000fffa0"), Some(vec![0, 15, 255, 160]));
        assert_eq!(decode_hex("000fFFA"), None);
        assert_eq!(decode_hex("0g"), None);
    }
}
