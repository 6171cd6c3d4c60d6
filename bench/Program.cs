// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Text;

namespace MemcgNative.Bench;

internal static class Program
{
    private static int Main(string[] args)
    {
        using var stop = new CancellationTokenSource();
        int code = ExitCode.Interrupted;
        void End(PosixSignalContext signal)
        {
            if (stop.IsCancellationRequested) return; // the second time the system's way
            code = signal.Signal == PosixSignal.SIGTERM ? ExitCode.Terminated : ExitCode.Interrupted;
            signal.Cancel = true;
            stop.Cancel();
        }
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        CliEnvironment environment = CliEnvironment.OfProcess(() => code, stop.Token);
        var encoding = environment.Unicode ? new UTF8Encoding(false) : Encoding.ASCII;
        using var stdout = new StreamWriter(Console.OpenStandardOutput(), encoding, 4096) { AutoFlush = false };
        using var stderr = new StreamWriter(Console.OpenStandardError(), encoding, 256) { AutoFlush = true };
        return Cli.Run(args, stdout, stderr, environment);
    }
}
