//! The code that checks signatures in Rust: one program is built of all of it, with the crates of this workspace.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Codes, and what each is to take or refuse.
#[derive(Default)]
pub(super) struct Program {
    codes: Vec<String>,
    cases: Vec<Value>,
    wanted: Vec<(String, bool)>,
}

impl Program {
    /// From now on, cases are of this code.
    pub(super) fn code(&mut self, text: &str) {
        // What the clock shows is the case's.
        self.codes.push(text.replace("use std::time::{", "use crate::time::{"));
    }

    /// The last code is to take this request at this second, or to refuse it.
    pub(super) fn case(&mut self, headers: &Value, body: &[u8], now: i64, takes: bool) {
        let case = json!({"code": self.codes.len() - 1, "headers": headers, "body": STANDARD.encode(body), "now": now});
        self.wanted.push((case.to_string(), takes));
        self.cases.push(case);
    }

    /// Builds the program, and runs it.
    pub(super) fn hold(&self) {
        let binary = self.build();
        let mut child = Command::new(binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(json!(self.cases).to_string().as_bytes()).unwrap();
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success(), "the program broke");
        let taken: Vec<bool> = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(taken.len(), self.wanted.len());
        for (taken, (case, wanted)) in taken.into_iter().zip(&self.wanted) {
            assert_eq!(taken, *wanted, "{case}");
        }
    }

    fn build(&self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = root.join("tests/receivers/rust");
        // What is built stays there, so that the crates are built once.
        let place = root.join("target/receivers/rust");
        for file in ["Cargo.toml", "src/main.rs", "hex/Cargo.toml", "hex/hex.rs"] {
            put(&place.join(file), &fs::read_to_string(source.join(file)).unwrap());
        }
        // The same versions as the product's, so that nothing is fetched.
        put(&place.join("Cargo.lock"), &fs::read_to_string(root.join("Cargo.lock")).unwrap());
        let mut codes = String::new();
        let mut arms = String::new();
        for (number, code) in self.codes.iter().enumerate() {
            put(&place.join(format!("src/codes/of_{number}.rs")), code);
            codes.push_str(&format!("mod of_{number};\n"));
            arms.push_str(&format!("{number} => of_{number}::verify(headers, body),\n"));
        }
        let choose = "pub fn verify(code: u64, headers: &http::HeaderMap, body: &[u8]) -> bool";
        put(
            &place.join("src/codes.rs"),
            &format!("{codes}{choose} {{ match code {{ {arms} _ => panic!(\"no code {{code}}\") }} }}\n"),
        );
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--target-dir"])
            .arg(place.join("target"))
            .current_dir(&place)
            // What the tests are built with is not to be built again.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        assert!(built.status.success(), "the code for Rust is not built:\n{}", String::from_utf8_lossy(&built.stderr));
        place.join("target/debug/receiver")
    }
}

/// Writes a file, unless it is there already as it should be.
fn put(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
