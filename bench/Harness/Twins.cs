// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// C twins of hot paths: compiled by this machine's C compiler when they are first asked for, kept by the hash of source and command, and
/// run on the same state in the same rounds, so that the ratio compares compilers and nothing else.
/// </summary>
internal static class Twins
{
    public const string Charge = "charge-uncharge (C)";
    public const string Alloc = "alloc-free (C)";

    private const string Optimize = "-O2 -march=native";
    private const string Flags = Optimize + " -shared -fPIC -Wall -Wextra -Werror";

    private static readonly (string Workload, string Twin, string File, string Symbol)[] known =
        [("charge-uncharge", Charge, "charge.c", "charge_batches"), ("alloc-free", Alloc, "pcp.c", "pcp_bursts")];

    private static readonly Dictionary<string, nint> functions = [];

    /// <summary>The lane name of a workload's twin, or null.</summary>
    public static string? Of(string workload) => Array.Find(known, k => k.Workload == workload).Twin;

    /// <summary>True for a lane that runs C.</summary>
    public static bool IsTwin(string lane) => Array.Exists(known, k => k.Twin == lane);

    /// <summary>The loaded function of a lane; <see cref="Load"/> comes first.</summary>
    public static nint Function(string twin) => functions[twin];

    /// <summary>Batch of the stock that the charge twin imitates.</summary>
    public static int StockBatch { get; private set; }

    /// <summary>Refuses models the twins do not imitate; before anything is touched.</summary>
    /// <exception cref="UsageException">One line.</exception>
    public static void Check(string workload, Model model)
    {
        StockBatch = model[Axis.Stock] switch { "SingleSlot32" => 32, "SingleSlot64" => 64, _ => 0 };
        if (workload == "charge-uncharge" && (StockBatch == 0 || model[Axis.Counter] != "PageCounter40"))
            throw new UsageException($"--twin: the C twin of {workload} imitates PageCounter40 with SingleSlot32 or SingleSlot64; the model has {model[Axis.Counter]} and "
                + $"{model[Axis.Stock]}");
    }

    /// <summary>Compiles and loads the twin of a workload; returns the compiler's name and how it optimizes.</summary>
    /// <exception cref="OsException">No C compiler, or it fails, or the result cannot be loaded.</exception>
    public static string Load(string workload, Func<string, string?> variable)
    {
        (_, string twin, string file, string symbol) = Array.Find(known, k => k.Workload == workload);
        string source = Path.Combine(SourceDirectory(), file);
        if (!File.Exists(source)) throw new OsException("", 0, $"--twin: {file} is not beside the program's sources ({Path.GetDirectoryName(source)})",
            "Run from a clone of the repository");
        string compiler = variable("CC") is { Length: > 0 } cc ? cc : "cc";
        string library = Path.Combine(Path.GetTempPath(), "memcgnative-twins");
        string artifacts = Path.Combine(SourceDirectory(), "..", "..", "artifacts");
        if (Directory.Exists(artifacts)) library = Path.Combine(Path.GetFullPath(artifacts), "twins");
        Directory.CreateDirectory(library);
        byte[] hash = SHA256.HashData([.. File.ReadAllBytes(source), .. Encoding.UTF8.GetBytes(compiler + Run(compiler, "--version").Out + Flags + Environment.MachineName)]);
        library = Path.Combine(library, $"{Path.GetFileNameWithoutExtension(file)}-{Convert.ToHexString(hash.AsSpan(0, 8))}.so");
        if (!File.Exists(library)) Compile(compiler, source, library);
        if (!NativeLibrary.TryLoad(library, out nint handle) || !NativeLibrary.TryGetExport(handle, symbol, out nint function))
            throw new OsException("dlopen", 0, $"--twin: {library} cannot be loaded");
        functions[twin] = function;
        return $"{compiler} {Optimize}";
    }

    private static void Compile(string compiler, string source, string library)
    {
        string part = $"{library}.{Environment.ProcessId}";
        (int code, _, string errors) = Run(compiler, $"{Flags} -o \"{part}\" \"{source}\"");
        if (code != 0) throw new OsException(compiler, code, $"--twin: {compiler} cannot compile {Path.GetFileName(source)}: {errors.Split('\n')[0]}");
        File.Move(part, library, overwrite: true);
    }

    private static (int Code, string Out, string Errors) Run(string compiler, string arguments)
    {
        try
        {
            using Process? process = Process.Start(new ProcessStartInfo(compiler, arguments) { RedirectStandardError = true, RedirectStandardOutput = true });
            string errors = process!.StandardError.ReadToEnd(), text = process.StandardOutput.ReadToEnd(); // in turn: what is said on stdout fits into a pipe
            process.WaitForExit();
            return (process.ExitCode, text, errors);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new OsException(compiler, 0, $"--twin: no C compiler here ({compiler})", "Install one (apt-get install gcc), name it in CC, or leave --twin out");
        }
    }

    private static string SourceDirectory([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "twins"));
}
