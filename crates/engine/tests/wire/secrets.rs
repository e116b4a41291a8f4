//! Secrets: what is generated, and what is accepted.

use fanfare_engine::signing::{check_secret, make_secret};
use proptest::prelude::*;

use crate::builders::{SECRET, profile, standard};

#[test]
fn the_standard_secret_is_base64_of_24_bytes() {
    let random: Vec<u8> = (0..32).collect();
    assert_eq!(make_secret(&standard(), &random), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
}

#[test]
fn other_profiles_make_other_secrets() {
    let signed = "[[signatures]]\nheader = \"x-signature\"\nalgorithm = \"hmac-sha1\"\n[secret]\nrule = \"generated\"\ngenerated_bytes = 3\n";
    let make = |knobs: &str| make_secret(&profile(&format!("{signed}{knobs}")), &[0xfb, 0xff, 0xfe]);
    assert_eq!(make("text = \"hex\"\nprefix = \"s_\""), "s_fbfffe");
    assert_eq!(make("text = \"url-safe\""), "-__-");
    assert_eq!(make(""), "+//+");
}

#[test]
fn what_the_standard_profile_takes() {
    let check = |secret: &str| check_secret(&standard(), secret, None).err().unwrap_or_default();
    assert_eq!(check(SECRET), "");
    assert_eq!(check("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA"), "", "without padding");
    assert_eq!(check("hush"), "must start with whsec_ or whsk_");
    assert_eq!(check("whsec_c2hvcnQ="), "must hold 24 to 64 bytes, but holds 5");
    assert_eq!(check("whsec_§"), "must be whsec_ followed by base64");
    assert_eq!(check("whsk_c2hvcnQ="), "must hold 32 to 64 bytes, but holds 5");
    assert_eq!(check(&"w".repeat(2_000)), "must be 1 to 1024 bytes of text");
}

proptest! {
    #[test]
    fn what_is_generated_is_accepted(random in prop::array::uniform32(any::<u8>())) {
        prop_assert_eq!(check_secret(&standard(), &make_secret(&standard(), &random), None), Ok(()));
    }

    #[test]
    fn any_text_is_judged(secret in any::<String>()) {
        let _ = check_secret(&standard(), &secret, None);
        let _ = check_secret(&standard(), &format!("whsk_{secret}"), None);
    }
}
