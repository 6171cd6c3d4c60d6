// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// From the rings of a failure to a case for the explorer: who did what last, on which things, as an ICase to be filled in. Things that several
/// CPUs touched in that window are shared state; a name stands for each address. What a case leaves out is what has to be thought about.
/// </summary>
internal static class Skeleton
{
    /// <summary>Operations of each CPU: the explorer exhausts no more.</summary>
    private const int Most = 4;

    /// <summary>C# that compiles in tests/Interleavings/Protocols once its operations are calls.</summary>
    public static string Of(TortureType type, IReadOnlyList<Worker> workers, ulong seed)
    {
        (string Operation, long A, long B)[][] last = [.. workers.Select(w => w.Last(Most))];
        var names = new Dictionary<long, string>();
        foreach (long thing in last.SelectMany(o => o).SelectMany(o => (long[])[o.A, o.B]).Where(a => a > 1 << 20))
            if (!names.ContainsKey(thing)) names[thing] = string.Create(CultureInfo.InvariantCulture, $"x{names.Count}");
        string[] shared = [.. names.Where(n => last.Count(cpu => cpu.Any(o => o.A == n.Key || o.B == n.Key)) > 1).Select(n => n.Value)];
        var text = new StringBuilder();
        text.AppendLine("---- a case for tests/Interleavings/Protocols; replace each comment by its call, name it in Cases.cs, explore it ----");
        string common = shared.Length == 0 ? "nothing that was named" : string.Join(", ", shared);
        text.AppendLine(CultureInfo.InvariantCulture, $"// {type.Name}{type.Detail}, seed 0x{seed:x}. Shared by several CPUs: {common}.");
        text.AppendLine("internal readonly unsafe struct FromTorture : ICase");
        text.AppendLine("{");
        text.AppendLine(CultureInfo.InvariantCulture, $"    public static int Cpus => {last.Count(o => o.Length != 0)};");
        text.AppendLine(CultureInfo.InvariantCulture, $"    public static void Setup() {{ }} // SimulatedAccounting.New, {names.Count} things: {string.Join(", ", names.Values)}");
        text.AppendLine("    public static void Body(int cpu)");
        text.AppendLine("    {");
        text.AppendLine("        switch (cpu)");
        text.AppendLine("        {");
        int number = 0;
        foreach (var operations in last.Where(o => o.Length != 0))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"            case {number++}:");
            foreach (var (operation, a, b) in operations) text.AppendLine(CultureInfo.InvariantCulture, $"                // {operation}({Named(a)}, {Named(b)});");
            text.AppendLine("                break;");
        }
        text.AppendLine("        }");
        text.AppendLine("    }");
        text.AppendLine("    public static void Final() { } // what was broken: see the line with !!!");
        text.AppendLine("}");
        return text.ToString();

        string Named(long value) => names.TryGetValue(value, out string? name) ? name : value.ToString(CultureInfo.InvariantCulture);
    }
}
