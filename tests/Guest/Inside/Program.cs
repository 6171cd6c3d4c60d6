// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// Reads jobs from stdin, one a line: "NAME COMMAND ARGS...". COMMAND is one of memcgnative, a probe, or "write FILE TEXT" to set a value
/// of sysfs. Leaves NAME.out, NAME.err and NAME.status in the folder named.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        string folder = args[0];
        while (Console.In.ReadLine() is { } line)
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2) continue;
            using var stdout = new StringWriter();
            string name = Path.Combine(folder, words[0]);
            long start = Environment.TickCount64;
            int status;
            // At once, so that who changes the machine under a run can wait for a line of its progress.
            using (var stderr = new StreamWriter(name + ".err") { AutoFlush = true }) status = Run(words[1..], stdout, stderr);
            File.WriteAllText(name + ".out", stdout.ToString());
            File.WriteAllText(name + ".status", $"{status}\n");
            Console.WriteLine($"{words[0]}: exit {status} after {Environment.TickCount64 - start} ms");
        }
        return 0;
    }

    private static int Run(string[] words, TextWriter stdout, TextWriter stderr)
    {
        try
        {
            switch (words[0])
            {
                case "write":
                    File.WriteAllText(words[1], words[2]);
                    return 0;
                case "first-touch":
                    return Probes.FirstTouch(stdout);
                case "fallback":
                    return Probes.Fallback(stdout);
                case "port-costs":
                    return PortCosts.Run(stdout, words[1..]);
                case "kernel-costs":
                    return KernelCosts.Run(stdout, words[1..]);
                default:
                    return Cli.Run(words, stdout, stderr, new CliEnvironment());
            }
        }
        catch (Exception e)
        {
            stderr.WriteLine(e.ToString());
            return 99;
        }
    }
}
