// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.CommandLine.Parsing;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// The program behind Main: arguments in, exit code out. stdout gets the result and nothing else; every error is one line on stderr.
/// </summary>
internal static class Cli
{
    private const string Name = "memcgnative: ";

    /// <summary>Not the library's @FILE: it is not documented here, and a file that names itself ended the process by its stack.</summary>
    public static readonly ParserConfiguration Plain = new() { ResponseFileTokenReplacer = null };

    public static int Run(string[] args, TextWriter stdout, TextWriter stderr, CliEnvironment environment)
    {
        stderr = TextWriter.Synchronized(new LossyWriter(stderr));
        if (Sibling.TryRun(args, stderr, out int theirs)) return theirs;
        var options = new OptionSet();
        using var buffer = new StringWriter(); // a result is printed whole or not at all
        RootCommand root = CommandTree.Build(options, new CommandContext(options, environment, args, buffer, stderr));
        ParseResult parsed = root.Parse(args, Plain);
        if (args.Any(a => a is "--help" or "-h")) CommandExamples.Show(parsed.CommandResult.Command);
        int code;
        try
        {
            if (parsed.Errors.Count > 0) throw new UsageException(ParseErrors.OneLine(parsed, args));
            code = parsed.Invoke(new InvocationConfiguration { Output = buffer, Error = stderr, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (OperationCanceledException) when (environment.Stop.IsCancellationRequested)
        {
            code = environment.StopCode();
            stderr.WriteLine(Name + "stopped before there was a result");
        }
        catch (Exception e)
        {
            (code, string line) = Explain(e);
            stderr.WriteLine(Name + line);
            if (parsed.Errors.Count == 0 && parsed.GetValue(options.Debug)) stderr.WriteLine(e.ToString());
        }
        try
        {
            stdout.Write(buffer.ToString());
            stdout.Flush();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            stderr.WriteLine($"{Name}stdout: cannot write: {e.Message.TrimEnd('.')}");
            return code == ExitCode.Done ? ExitCode.Failed : code;
        }
        return code;
    }

    private static (int Code, string Line) Explain(Exception e) => e switch
    {
        UsageException u => (u.OfThisMachine ? ExitCode.NotHere : ExitCode.Usage, u.Message),
        OsException o => (ExitCode.NotHere, o.Message.ReplaceLineEndings(" ")),
        TopologyException t => (ExitCode.NotHere, t.Message),
        OutputException o => (o.ExitCode, o.Message),
        BugException b => (ExitCode.Broken, $"a rule of the model was broken: {b.Message}"),
        OutOfMemoryException => (ExitCode.NotHere, "out of memory: ask for less with --footprint"),
        _ => (ExitCode.Failed, $"failed: {e.Message.ReplaceLineEndings(" ")} (--debug shows where)"),
    };
}
