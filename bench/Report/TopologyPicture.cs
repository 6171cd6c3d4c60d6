// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Net;
using System.Text;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The machine as nested boxes: packages, nodes, L3 domains, cores, hardware threads. Plain HTML, so that it prints and reads.</summary>
internal static class TopologyPicture
{
    /// <summary>CPUs up to which each has a box of its own.</summary>
    private const int MostBoxes = 64;

    public static string Html(TopologyModel t)
    {
        var html = new StringBuilder("<div class=\"boxes\" aria-label=\"topology\" role=\"group\">\n");
        foreach (PackageModel p in t.Packages)
        {
            html.Append(CultureInfo.InvariantCulture, $"<div class=\"box\"><div class=\"label\">package {p.Number}</div><div class=\"boxes\">\n");
            foreach (NodeModel n in t.Nodes.Where(n => t.Cpus.Any(c => c.Package == p.Index && c.Node == n.Number))) Node(html, t, n, p.Index);
            html.Append("</div></div>\n");
        }
        foreach (NodeModel n in t.Nodes.Where(n => t.Cpus.All(c => c.Node != n.Number)))
            html.Append(CultureInfo.InvariantCulture, $"<div class=\"box\"><div class=\"label\">node {n.Number}, {Size(n)}, no CPU</div></div>\n");
        html.Append("</div>\n");
        html.Append(CultureInfo.InvariantCulture, $"<p class=\"soft\">online {E(t.OnlineCpus)}; allowed {E(t.AllowedCpus)}; isolated {E(t.IsolatedCpus)}; ");
        html.Append(CultureInfo.InvariantCulture, $"offline {E(t.OfflineCpus)}; SMT width {t.SmtWidth}{(t.DistancesReported ? "" : "; the system reports no distances")}</p>\n");
        return html.ToString();
    }

    private static void Node(StringBuilder html, TopologyModel t, NodeModel n, int package)
    {
        string allowed = n.Allowed ? "" : ", not allowed here";
        html.Append(CultureInfo.InvariantCulture, $"<div class=\"box\"><div class=\"label\">node {n.Number}, {Size(n)}{allowed}</div><div class=\"boxes\">");
        foreach (IGrouping<int, CpuModel> l3 in t.Cpus.Where(c => c.Node == n.Number && c.Package == package).GroupBy(c => c.L3))
        {
            string size = l3.Key >= 0 && t.L3Domains[l3.Key].SizeBytes is { } bytes ? " " + TopologyText.Size(bytes) : "";
            html.Append(CultureInfo.InvariantCulture, $"<div class=\"box\"><div class=\"label\">{(l3.Key >= 0 ? $"L3{size}" : "no L3 reported")}</div>");
            if (t.Cpus.Length > MostBoxes)
                html.Append(CultureInfo.InvariantCulture, $"{l3.Select(c => c.Core).Distinct().Count()} cores, CPUs {CpuList.Format(l3.Select(c => new CpuId(c.Number)))}");
            else
                foreach (IGrouping<int, CpuModel> core in l3.GroupBy(c => c.Core))
                    html.Append(CultureInfo.InvariantCulture, $"<span class=\"box\">{string.Concat(core.Select(c => $"<span class=\"cpu\">{c.Number}</span>"))}</span>");
            html.Append("</div>");
        }
        html.Append("</div></div>\n");
    }

    private static string Size(NodeModel n) => n.HasMemory ? n.MemoryBytes is { } b ? TopologyText.Size(b) : "memory" : "no memory";

    private static string E(string text) => WebUtility.HtmlEncode(text);
}
