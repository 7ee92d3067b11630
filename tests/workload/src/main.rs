//! The program that test and demo pods run: one static binary, the command is its first argument.
//!
//! The image that holds it has no shell and no libraries, so everything a test wants to do inside a pod is a
//! command here. Commands answer on stdout and fail with exit code 1 and a line on stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the pod's log is this program's output")]

mod dns;
mod files;
mod http;
mod processes;
mod signals;

use std::process::ExitCode;

const USAGE: &str = "workload COMMAND [ARGUMENT...]
  serve [PORT]            answer HTTP (default port 8080): / /echo?text= /resolve?name= /fetch?url=
  sleep [SECONDS]         wait (default: for ever), end at once on SIGTERM
  ignore-term             wait for ever and ignore SIGTERM
  exit CODE               end with this code
  wget URL                print what an http:// address answers
  resolve NAME            print the IPv4 addresses of a name
  kill NAME [SIGNAL]      signal every process of that name (default KILL), print how many
  fork-orphans COUNT      leave that many children behind without a parent
  kill-shim               kill the shim of this container, so that PID 1 adopts what is in it
  grep PATH TEXT          print the files at or below PATH that contain TEXT
  cat FILE                print a file
  write FILE TEXT         write a file and sync it
  copy FROM TO BYTES      copy that many bytes as dd bs=4M conv=fsync does, print how long it took
  fill DIRECTORY          fill the file system with one file, print its size
  remove FILE             remove a file
  env                     print the environment";

/// What a command may fail with.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&words).unwrap_or_else(|error| {
        eprintln!("workload: {}: {error}", words.join(" "));
        ExitCode::FAILURE
    })
}

fn run(words: &[&str]) -> Outcome {
    match words {
        ["serve"] => http::serve(8080),
        ["serve", port] => http::serve(port.parse()?),
        ["sleep"] => signals::sleep(None),
        ["sleep", seconds] => signals::sleep(Some(seconds.parse()?)),
        ["ignore-term"] => signals::ignore_term(),
        ["exit", code] => Ok(ExitCode::from(code.parse::<u8>()?)),
        ["wget", url] => print(&http::get(url)?),
        ["resolve", name] => print(&http::lines(&dns::resolve(name)?)),
        ["kill", name] => print(&format!("{}\n", processes::kill(name, "KILL")?)),
        ["kill", name, signal] => print(&format!("{}\n", processes::kill(name, signal)?)),
        ["fork-orphans", count] => processes::fork_orphans(count.parse()?),
        ["orphan"] => processes::orphan(),
        ["kill-shim"] => processes::kill_shim(),
        ["grep", path, text] => files::grep(path, text),
        ["cat", file] => print(&String::from_utf8_lossy(&std::fs::read(file)?)),
        ["write", file, text] => files::write(file, text),
        ["copy", from, to, bytes] => files::copy(from, to, bytes.parse()?),
        ["fill", directory] => files::fill(directory),
        ["remove", file] => Ok(std::fs::remove_file(file).map(|()| ExitCode::SUCCESS)?),
        ["env"] => {
            print(&std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect::<String>())
        }
        _ => Err(USAGE.into()),
    }
}

fn print(text: &str) -> Outcome {
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}
