"""networkx: a graph is made; its paths and parts are looked for."""

import networkx


def job() -> None:
    """One graph's life."""
    graph = networkx.gnm_random_graph(60, 120, seed=1)
    networkx.pagerank_numpy(graph) if hasattr(networkx, "pagerank_numpy") else None
    list(networkx.connected_components(graph))
    dict(networkx.single_source_shortest_path_length(graph, 0))
    networkx.minimum_spanning_tree(graph)
