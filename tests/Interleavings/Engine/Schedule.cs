// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Who moves, step by step, as text: mn1:case:SC:0x8,1x5,i0,d1x2. A number is a CPU's thread, i its irq role, d its store buffer; x repeats.
/// TSO+membarrier: the case had been seen to use a process-wide fence, so each store is a step when it enters its buffer too.
/// </summary>
internal sealed record Schedule(string Case, MemoryModel Memory, IReadOnlyList<(char Role, int Cpu)> Steps, bool StoresAreSteps = false)
{
    private const string Version = "mn1", WithStores = "+membarrier";

    public override string ToString()
    {
        var text = new StringBuilder($"{Version}:{Case}:{Memory}{(StoresAreSteps ? WithStores : "")}:");
        for (int i = 0; i < Steps.Count;)
        {
            int j = i;
            while (j < Steps.Count && Steps[j] == Steps[i]) j++;
            if (i > 0) text.Append(',');
            if (Steps[i].Role != 't') text.Append(Steps[i].Role);
            text.Append(CultureInfo.InvariantCulture, $"{Steps[i].Cpu}");
            if (j - i > 1) text.Append(CultureInfo.InvariantCulture, $"x{j - i}");
            i = j;
        }
        return text.ToString();
    }

    /// <summary>Reads what <see cref="ToString"/> wrote; the error names the element.</summary>
    public static bool TryParse(string text, out Schedule? schedule, out string error)
    {
        schedule = null;
        string[] parts = text.Split(':');
        if (parts.Length != 4 || parts[0] != Version)
        {
            error = $"'{text}' is no schedule; one looks like {Version}:B1/1s1c:SC:0x8,1x5,d0";
            return false;
        }
        bool stores = parts[2] == MemoryModel.TSO + WithStores;
        if (!Enum.TryParse(stores ? nameof(MemoryModel.TSO) : parts[2], out MemoryModel memory) || !Enum.IsDefined(memory))
        {
            error = $"'{parts[2]}' is no memory model; SC, TSO or TSO{WithStores}";
            return false;
        }
        var steps = new List<(char, int)>();
        foreach (string token in parts[3].Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            char role = token[0] is 'i' or 'd' ? token[0] : 't';
            string[] pair = (role == 't' ? token : token[1..]).Split('x');
            int repeat = 1;
            bool ok = int.TryParse(pair[0], NumberStyles.None, CultureInfo.InvariantCulture, out int cpu) && cpu < Limits.Cpus && pair.Length <= 2
                && (pair.Length == 1 || int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out repeat));
            if (!ok || repeat < 1 || steps.Count + repeat > Limits.Steps)
            {
                error = $"'{token}' is no step; one looks like 0x8, i1 or d0x2";
                return false;
            }
            for (int k = 0; k < repeat; k++) steps.Add((role, cpu));
        }
        schedule = new Schedule(parts[1], memory, steps, stores);
        error = "";
        return true;
    }

    /// <summary>The choices of the execution that just ended.</summary>
    public static unsafe Schedule OfLastExecution(string name, MemoryModel memory)
    {
        var steps = new (char, int)[Run.Depth];
        for (int d = 0; d < Run.Depth; d++)
        {
            int a = Tree.Nodes[d].Chosen;
            steps[d] = a >= Run.DrainBase ? ('d', a - Run.DrainBase) : a >= Run.Cpus ? ('i', a - Run.Cpus) : ('t', a);
        }
        return new Schedule(name, memory, steps, Explorer.SawProcessWideFence);
    }

    /// <summary>The agent of a step in the current configuration, or -1.</summary>
    public int Agent(int step)
    {
        if (step >= Steps.Count) return -1;
        (char role, int cpu) = Steps[step];
        if (cpu >= Run.Cpus) return -1;
        return role switch { 't' => cpu, 'i' => Run.HasIrq ? Run.Cpus + cpu : -1, _ => Run.Tso ? Run.DrainBase + cpu : -1 };
    }
}
