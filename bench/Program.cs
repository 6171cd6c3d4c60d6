// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using MemcgNative.Native;

namespace MemcgNative.Bench;

internal static class Program
{
    private static int Main(string[] args)
    {
        string? fault = ArmFault(); // first of all: everything below may call the system
        int code = ExitCode.Interrupted;
        using var stop = new CancellationTokenSource();
        using (var rehearsal = new CancellationTokenSource())
        {
            // What a signal runs is compiled now: compiled when it comes, it would be counted as compiled while measuring.
            _ = Ended(new PosixSignalContext(PosixSignal.SIGINT), rehearsal);
        }
        void End(PosixSignalContext signal) => code = Ended(signal, stop) ?? code;
        RuntimeHelpers.PrepareDelegate((Action<PosixSignalContext>)End);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        CliEnvironment environment = CliEnvironment.OfProcess(() => code, stop.Token);
        var encoding = environment.Unicode ? new UTF8Encoding(false) : Encoding.ASCII;
        using var stdout = new StreamWriter(Console.OpenStandardOutput(), encoding, 4096) { AutoFlush = false };
        using var stderr = new LossyWriter(new StreamWriter(Console.OpenStandardError(), encoding, 256) { AutoFlush = true });
        if (fault is not null)
        {
            stderr.WriteLine($"memcgnative: {OsFault.Variable}: {fault}");
            return ExitCode.Usage;
        }
        return Cli.Run(args, stdout, stderr, environment);
    }

    /// <summary>The exit code that goes with the signal; null the second time, when it is left to the system.</summary>
    private static int? Ended(PosixSignalContext signal, CancellationTokenSource stop)
    {
        // The death of a supervisor is told once for each of its threads: those are one end, not the second request that ends at once.
        bool again = stop.IsCancellationRequested, supervised = Environment.GetEnvironmentVariable(Supervised.Variable) is { Length: > 0 };
        signal.Cancel = !again || (supervised && signal.Signal == PosixSignal.SIGTERM);
        if (again) return null;
        stop.Cancel();
        return signal.Signal == PosixSignal.SIGTERM ? ExitCode.Terminated : ExitCode.Interrupted;
    }

    /// <summary>Why the fault that the environment asks for cannot be meant, or null.</summary>
    private static string? ArmFault()
    {
        try
        {
            OsFault.ArmFromEnvironment();
            return null;
        }
        catch (UsageException e)
        {
            return e.Message;
        }
    }
}
