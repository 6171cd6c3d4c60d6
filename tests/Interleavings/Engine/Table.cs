// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The execution that just ended, one line per step, one column per CPU: it reads like the mails.</summary>
internal static unsafe class Table
{
    public static string OfLastExecution()
    {
        var cells = new List<(int Cpu, string Text)>();
        for (int i = 0; i < Run.Depth; i++)
        {
            if (Tree.Nodes[i].Chosen != Run.Events[i].Agent) break; // the last choice ended before its step
            cells.Add((Run.Events[i].Agent % Run.Cpus, Describe(Run.Events + i)));
        }
        var width = new int[Run.Cpus];
        for (int c = 0; c < Run.Cpus; c++) width[c] = Math.Max(4, cells.Where(x => x.Cpu == c).Select(x => x.Text.Length).DefaultIfEmpty().Max());
        var o = new StringBuilder();
        Row(o, "", c => $"CPU{c}", width);
        for (int i = 0; i < cells.Count; i++)
        {
            (int cpu, string text) = cells[i];
            Row(o, i.ToString(CultureInfo.InvariantCulture), c => c == cpu ? text : "", width);
        }
        if (Run.Message.Length > 0) o.Append(Run.Fault).Append(": ").AppendLine(Names.Readable(Run.Message));
        return o.ToString();
    }

    private static void Row(StringBuilder o, string number, Func<int, string> cell, int[] width)
    {
        int start = o.Length;
        o.Append(CultureInfo.InvariantCulture, $"{number,5}");
        for (int c = 0; c < width.Length; c++) o.Append("  ").Append(cell(c).PadRight(width[c]));
        while (o.Length > start && o[^1] == ' ') o.Length--;
        o.Append('\n');
    }

    private static string Describe(Event* e)
    {
        string name = Names.Of(e->Offset, Math.Max(1, (int)e->Size)), old = Names.Value(e->Old), value = Names.Value(e->Value);
        string what = e->Kind switch
        {
            OpKind.Load => $"{name} -> {value}",
            OpKind.Store => $"{name} = {value}",
            OpKind.Buffer => "store into the buffer",
            OpKind.Drain => $"~ {name} = {value} reaches memory",
            OpKind.Rmw => e->Rmw == RmwKind.CompareExchange && e->Access == Access.Read ? $"cmpxchg {name} fails at {old}" : $"{Verb(e->Rmw)} {name} {old} -> {value}",
            OpKind.Fence => "fence",
            OpKind.RemoteFence => $"process-wide fence: {name} empty",
            OpKind.AwaitEqual => $"{name} == {value}, goes on",
            OpKind.AwaitNot => $"{name} -> {value}, goes on",
            OpKind.Lock => $"LOCK {name}",
            OpKind.Take => e->Agent >= Run.Cpus ? "irq enters" : "irqs off",
            _ => e->Agent >= Run.Cpus ? "irq leaves" : "irqs on",
        };
        string role = e->Agent >= Run.Cpus && e->Agent < Run.DrainBase && e->Kind is not (OpKind.Take or OpKind.Give) ? "irq: " : "";
        string site = Sites.Name(e->Site);
        return site.Length > 0 ? $"{role}{what}  {site}" : role + what;
    }

    private static string Verb(RmwKind kind) => kind switch
    {
        RmwKind.CompareExchange => "cmpxchg", RmwKind.Exchange => "xchg", RmwKind.Add => "add", RmwKind.Or => "or", _ => "and",
    };
}
