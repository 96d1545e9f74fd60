use std::process::ExitCode;

fn main() -> ExitCode {
    xc2_analyzer::cli::main()
}
