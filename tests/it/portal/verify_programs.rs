//! The code that checks signatures in Go, Java, Ruby, PHP and C#: one program of each language is made of all of it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Programs that show requests to code.
pub(super) struct Programs {
    place: tempfile::TempDir,
    codes: usize,
    cases: Vec<(String, bool)>,
}

/// A language whose code can be shown requests.
struct Language {
    /// As the page names it.
    name: &'static str,
    /// The files beside the code.
    files: &'static [(&'static str, &'static str)],
    /// The file with the code of a number, and what it says.
    code: fn(usize, &str) -> (String, String),
    /// The program that runs it.
    run: &'static str,
    /// And what it is told.
    arguments: &'static [&'static str],
}

const LANGUAGES: [Language; 5] = [
    Language {
        name: "go",
        files: &[
            ("main.go", include_str!("../../receivers/go/main.go")),
            ("time/time.go", include_str!("../../receivers/go/time/time.go")),
            ("go.mod", include_str!("../../receivers/go/go.mod")),
        ],
        // What the clock shows is the case's.
        code: |number, text| (format!("of_{number}/webhook.go"), text.replace("\"time\"", "\"receiver/time\"")),
        run: "go",
        arguments: &["run", "."],
    },
    Language {
        name: "java",
        files: &[("receiver/Receiver.java", include_str!("../../receivers/java/Receiver.java"))],
        code: |number, text| (format!("of_{number}/Webhook.java"), format!("package of_{number};\n{text}")),
        run: "java",
        arguments: &["-cp", "classes", "receiver.Receiver"],
    },
    Language {
        name: "ruby",
        files: &[("receiver.rb", include_str!("../../receivers/ruby/receiver.rb"))],
        code: |number, text| (format!("codes/of_{number}.rb"), text.to_owned()),
        run: "ruby",
        arguments: &["-w", "receiver.rb"],
    },
    Language {
        name: "php",
        files: &[("receiver.php", include_str!("../../receivers/php/receiver.php"))],
        code: |number, text| {
            let clock = format!("<?php\nnamespace of_{number};\nfunction time(): int {{ return $GLOBALS['now']; }}\n");
            (format!("codes/of_{number}.php"), text.replacen("<?php\n", &clock, 1))
        },
        run: "php",
        arguments: &["receiver.php"],
    },
    Language {
        name: "csharp",
        files: &[("Receiver.cs", include_str!("../../receivers/csharp/Receiver.cs"))],
        code: |number, text| {
            // A class of the same namespace stands before `System.DateTimeOffset`.
            let clock = "static class DateTimeOffset { public static System.DateTimeOffset UtcNow => Receiver.Now; }";
            (format!("of_{number}.cs"), format!("namespace of_{number} {{\n{text}\n{clock}\n}}\n"))
        },
        run: "mono",
        arguments: &["receiver.exe"],
    },
];

impl Programs {
    pub(super) fn new() -> Programs {
        let programs = Programs { place: tempfile::tempdir().unwrap(), codes: 0, cases: Vec::new() };
        for language in &LANGUAGES {
            for (file, text) in language.files {
                put(&programs.home(language).join(file), text);
            }
        }
        programs
    }

    fn home(&self, language: &Language) -> PathBuf {
        self.place.path().join(language.name)
    }

    /// From now on, cases are of the code that `copied` gives of a language.
    pub(super) fn code(&mut self, copied: impl Fn(&str) -> String) {
        for language in &LANGUAGES {
            let (file, text) = (language.code)(self.codes, &copied(language.name));
            put(&self.home(language).join(file), &text);
        }
        self.codes += 1;
    }

    /// The last code is to take this request at this second, or to refuse it.
    pub(super) fn case(&mut self, headers: &Value, body: &[u8], now: i64, takes: bool) {
        let mut words = vec![(self.codes - 1).to_string(), now.to_string(), STANDARD.encode(body)];
        let headers = headers.as_object().unwrap().iter();
        words.extend(headers.map(|(name, value)| format!("{name}:{}", STANDARD.encode(value.as_str().unwrap()))));
        self.cases.push((words.join(" "), takes));
    }

    /// Runs all of it.
    pub(super) fn hold(&self) {
        self.finish_go();
        self.finish_java();
        self.finish_csharp();
        let asked: String = self.cases.iter().map(|(case, _)| format!("{case}\n")).collect();
        for language in &LANGUAGES {
            let said =
                run(Command::new(language.run).args(language.arguments).current_dir(self.home(language)), &asked);
            let taken: Vec<&str> = said.lines().collect();
            assert_eq!(taken.len(), self.cases.len(), "{}: {said}", language.name);
            for (taken, (case, wanted)) in taken.into_iter().zip(&self.cases) {
                assert_eq!(taken, wanted.to_string(), "{}: {case}", language.name);
            }
        }
    }

    /// Go chooses a package when it is built.
    fn finish_go(&self) {
        let numbers = 0..self.codes;
        let imports: String = numbers.clone().map(|number| format!("of_{number} \"receiver/of_{number}\"\n")).collect();
        let arms: String =
            numbers.map(|number| format!("case {number}:\nreturn of_{number}.Verify(header, body)\n")).collect();
        let text = format!(
            "package codes\n\nimport (\n\"net/http\"\n{imports})\n\n\
             func Verify(code int, header http.Header, body []byte) bool {{\nswitch code {{\n{arms}}}\npanic(code)\n}}\n"
        );
        put(&self.place.path().join("go/codes/codes.go"), &text);
    }

    /// Java has to be compiled first. A class of the same package stands before `java.lang.System`.
    fn finish_java(&self) {
        let home = self.place.path().join("java");
        let mut files = vec!["receiver/Receiver.java".to_owned()];
        for number in 0..self.codes {
            let clock =
                "final class System { static long currentTimeMillis() { return receiver.Receiver.now * 1000; } }";
            put(&home.join(format!("of_{number}/System.java")), &format!("package of_{number};\n{clock}\n"));
            files.extend([format!("of_{number}/System.java"), format!("of_{number}/Webhook.java")]);
        }
        run(Command::new("javac").args(["-Xlint:all", "-Werror", "-d", "classes"]).args(files).current_dir(home), "");
    }

    /// C# has to be compiled first, too.
    fn finish_csharp(&self) {
        let codes = (0..self.codes).map(|number| format!("of_{number}.cs"));
        let mut compiler = Command::new("mcs");
        compiler.args(["-warnaserror", "-out:receiver.exe", "Receiver.cs"]).args(codes);
        run(compiler.current_dir(self.place.path().join("csharp")), "");
    }
}

/// Runs a program to its end, and gives what it said.
fn run(command: &mut Command, input: &str) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start ({error}): script/test installs it; run it once"));
    let mut input_of = child.stdin.take().unwrap();
    // What it says may fill its pipe before all is read.
    let said = std::thread::scope(|scope| {
        scope.spawn(move || input_of.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && complaint.is_empty(), "{program}: {complaint}");
    String::from_utf8(said.stdout).unwrap()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
