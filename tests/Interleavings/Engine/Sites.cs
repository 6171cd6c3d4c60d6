// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>Accesses by the source line of their caller. The strings are literals, so one comparison of references finds them.</summary>
internal static class Sites
{
    private const int Slots = 1 << 13;

    private static readonly string?[] files = new string?[Slots];
    private static readonly int[] lines = new int[Slots], ids = new int[Slots];
    private static readonly List<(string File, int Line)> known = [("", 0)];
    private static readonly uint[] operations = new uint[Slots];
    private static readonly bool[] watched = new bool[Slots];

    public static int Of(string file, int line)
    {
        for (int i = (file.Length * 131 + line) & (Slots - 1); ; i = (i + 1) & (Slots - 1))
        {
            if (ReferenceEquals(files[i], file) && lines[i] == line)
            {
                watched[ids[i]] |= Run.Current >= 0;
                return ids[i];
            }
            if (files[i] is null) return Insert(i, file, line);
        }
    }

    private static int Insert(int slot, string file, int line)
    {
        int id = known.IndexOf((file, line));
        if (id < 0)
        {
            id = known.Count;
            if (id >= Slots / 2) throw new InvalidOperationException($"explorer: more than {Slots / 2} access sites");
            known.Add((file, line));
        }
        (files[slot], lines[slot], ids[slot]) = (file, line, id);
        return id;
    }

    /// <summary>Begins a list of the sites that CPUs pass.</summary>
    public static void Watch() => Array.Clear(watched);

    /// <summary>Those they passed since.</summary>
    public static IEnumerable<(string File, int Line)> Watched() => Enumerable.Range(1, known.Count - 1).Where(id => watched[id]).Select(id => known[id]);

    /// <summary>Remembers that an operator of mutation applies at a site.</summary>
    public static void Saw(int site, MutationOp op) => operations[site] |= 1u << (int)op;

    /// <summary>All (site, operator) pairs seen since <see cref="ForgetOperations"/>.</summary>
    public static IEnumerable<SiteMutation> Mutations()
    {
        for (int id = 1; id < known.Count; id++)
            foreach (MutationOp op in Enum.GetValues<MutationOp>())
                if (op != MutationOp.None && (operations[id] >> (int)op & 1) != 0) yield return new SiteMutation(known[id].File, known[id].Line, op);
    }

    public static void ForgetOperations() => Array.Clear(operations);

    /// <summary>File.cs:line.</summary>
    public static string Name(int site) => site <= 0 ? "" : $"{Path.GetFileName(known[site].File)}:{known[site].Line}";
}
